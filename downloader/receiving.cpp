// How a worksite receives content: into the partial file, noted on the ticket, proved at the end.
#include <algorithm>
#include <cerrno>

#include "common/base/log.h"
#include "common/share/hash.h"
#include "common/share/reason_of.h"
#include "downloader/worksite.h"

namespace lefting::downloader {

namespace {

/// What came is stored after so many bytes at the latest: what a kill of the whole instance costs.
std::uint64_t save_interval(std::uint64_t size_bytes) {
  return std::max<std::uint64_t>(1u << 20, size_bytes / 1024);
}

}  // namespace

void Worksite::open_partial(Job& job) {
  const bool resume = !job.view.ticket.done.empty();
  auto partial = share::PartialFile::open(share_, job.path(), job.wanted().size, resume);
  if (!partial && partial.error().code.value() == ENOTDIR) return make_way(job, partial.error());
  if (!partial) return put_off_by(job, partial.error());
  job.partial = partial.take();
  job.blocks = block_count(job.wanted().size);
  job.frontier = 0;
  if (job.partial->resumed()) {
    job.done = job.view.ticket.done;
  } else if (resume) {
    instance_.tickets.forget_done(job.path(), job.id());
  }
  job.done.resize((job.blocks + 7) / 8);
  if (job.blocks > 1) {
    job.writer = std::make_unique<ContentWriter>(*job.partial, job.wanted().size, hash_kind(job),
                                                 [this, &job](const ContentWriter::Piece& piece) {
                                                   return job.delta ? note_delta(job, piece)
                                                                    : note_block(job, piece);
                                                 });
  }
  while (job.frontier < job.blocks && job.has(job.frontier)) ++job.frontier;
  if (job.writer) {
    job.writer->advance(std::min(job.wanted().size, job.frontier * block_bytes(job.wanted().size)));
  }
}

void Worksite::note_only_block(Job& job) {
  instance_.traffic().received.fetch_add(job.wanted().size, std::memory_order_relaxed);
  job.done.assign(1, 1);
  job.frontier = 1;  // it is published in a moment, or fetched again
}

Result<std::uint64_t> Worksite::note_block(Job& job, const ContentWriter::Piece& piece) {
  const std::uint64_t size = job.wanted().size;
  instance_.traffic().received.fetch_add(piece.length, std::memory_order_relaxed);
  if (piece.ends_block) {  // its others were put, and so written, before
    if (auto noted = mark_block(job, piece.offset / block_bytes(size)); !noted) {
      return noted.error();
    }
  }
  return std::min(size, job.frontier * block_bytes(size));
}

Status Worksite::mark_block(Job& job, std::uint64_t block) {
  const std::uint64_t size = job.wanted().size;
  set_bit(job.done, block);
  while (job.frontier < job.blocks && job.has(job.frontier)) ++job.frontier;
  if (!instance_.tickets.mark_done(job.path(), job.id(), block, 1)) {
    return os_error(ECANCELED, "fetch", job.path());
  }
  job.unsaved_bytes += std::min(block_bytes(size), size - block * block_bytes(size));
  if (job.unsaved_bytes >= save_interval(size)) save_done(job);
  return {};
}

Result<std::uint64_t> Worksite::note_delta(Job& job, const ContentWriter::Piece& piece) {
  Delta& delta = *job.delta;
  const bool is_old = delta.has_all();  // the old version's bytes come last
  if (!is_old) {
    instance_.traffic().received.fetch_add(piece.length, std::memory_order_relaxed);
    for (const std::uint64_t block :
         delta.note_piece({piece.offset, piece.length}, job.wanted().size)) {
      if (auto noted = mark_block(job, block); !noted) return noted.error();
    }
  }
  const auto now = instance_.tickets.find(job.path());
  if (!now || now->ticket.id != job.id()) return os_error(ECANCELED, "fetch", job.path());
  return is_old ? delta.end_of_missing(piece.offset + piece.length, job.wanted().size)
                : std::uint64_t{0};
}

void Worksite::give_up(Job& job, const Status& failed) {
  if (job.stage != Job::Stage::fetch) return;
  if (failed.error().code.value() == ECANCELED) return job.give_back();
  abandon(job, share::reason_of(failed.error()));
}

void Worksite::save_done(Job& job) {
  // After a power cut the store may know blocks that the disk does not. The hash shows that; a file
  // that never has one is fetched from its beginning instead.
  if (job.unsaved_bytes == 0 || (!job.wanted().hash && !job.awaits_hash())) return;
  store::Transaction transaction{instance_.store};
  transaction.set_ticket_done(job.path(), job.id(), job.done);
  transaction.commit();
  job.unsaved_bytes = 0;
}

void Worksite::abandon(Job& job, Reason reason) {
  if (auto gone = forget_content(job); !gone) log_warning("{}", gone.error().text());
  job.put_off(std::move(reason));
}

Status Worksite::forget_content(Job& job) {
  auto gone = forget_partial(job);
  instance_.tickets.forget_done(job.path(), job.id());
  store::Transaction transaction{instance_.store};
  transaction.set_ticket_done(job.path(), job.id(), {});
  transaction.commit();
  job.unsaved_bytes = 0;
  return gone;
}

HashKind Worksite::hash_kind(const Job& job) const {
  const auto& hash = job.wanted().hash;
  return hash ? hash->kind : lefting::hash_kind(instance_.settings);
}

Status Worksite::hash_partial(Job& job) {
  const auto hash =
      share::hash_file(job.partial->fd(), hash_kind(job), [this] { return !context_.stopping(); });
  if (!hash) return hash.error();
  job.hash = hash.value();
  return {};
}

/// Of one block it is known already.
Status Worksite::take_hash(Job& job) {
  if (job.writer) {
    const auto hash = job.writer->finish();
    job.writer.reset();
    if (!hash) return hash.error();
    job.hash = hash.value();
  } else if (job.blocks == 0) {
    job.hash = share::hash_bytes({}, hash_kind(job));
  }
  // Its source said only afterwards of which kind its hash is.
  if (job.hash && job.hash->kind != hash_kind(job)) return hash_partial(job);
  return {};
}

/// On the ticket too: who dies between the rename and the record leaves a file that is known then.
void Worksite::learn_hash(Job& job, const std::optional<ContentHash>& hash) {
  if (!hash) {
    job.has_no_hash = true;
    if (job.partial->resumed() || job.is_shared)
      abandon(job, {Cause::wrong_content, "nothing proves what is here"});
    return;
  }
  job.view.ticket.wanted.hash = hash;
  instance_.index.write_tickets([&](store::Transaction& transaction) {
    auto ticket = transaction.find_ticket(job.path());
    if (!ticket || ticket->id != job.id()) return std::vector<Ticket>{};
    ticket->wanted.hash = hash;
    transaction.set_ticket_offer(*ticket);
    return std::vector<Ticket>{std::move(*ticket)};
  });
}

void Worksite::prove(Job& job) {
  if (const Status hashed = take_hash(job); !hashed) return put_off_by(job, hashed.error());
  if (job.wanted().hash && job.hash != job.wanted().hash) {
    log_warning("\"{}\" did not come as announced (wrong hash); it is fetched again",
                printable(job.path()));
    return abandon(job, {Cause::wrong_content, "what came did not match its hash"});
  }
  finish(job);
}

void Worksite::finish(Job& job) {
  if (auto finished = job.partial->finish(job.plan.result.mode, job.plan.result.mtime_ns);
      !finished) {
    return put_off_by(job, finished.error());
  }
  job.stage = Job::Stage::fetched;
}

}  // namespace lefting::downloader
