#include "downloader/job.h"

#include <algorithm>
#include <cerrno>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/hash.h"
#include "common/share/path.h"

namespace lefting::downloader {

namespace {

/// What came is stored after so many bytes at the latest: what a kill of the whole instance costs.
std::uint64_t save_interval(std::uint64_t size_bytes) {
  return std::max<std::uint64_t>(4u << 20, size_bytes / 256);
}

/// A peer may announce any size; what is noted of its blocks must stay small.
constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 24;

constexpr const char* kChangedHere = "it was changed here; waiting for the scanner to record that";

}  // namespace

Worksite::Worksite(RoleContext& context, const share::Share& share)
    : context_{context}, instance_{context.instance()}, share_{share} {}

void Worksite::begin(Job& job) {
  if (job.view.ticket.sources == 0) return give_up(job);
  job.record = instance_.dictionary.find(job.path());
  job.decision = sync::decide(job.record ? &job.record->entry : nullptr, job.wanted(),
                              instance_.writer, wall_ms());
  switch (job.decision.verdict) {
    case sync::Verdict::same:
    case sync::Verdict::ours_newer:
      job.stage = Job::Stage::drop;
      return forget_partial(job);
    case sync::Verdict::merge:
      forget_partial(job);  // of an older wish, perhaps
      return set_metadata(job);
    case sync::Verdict::take:
    case sync::Verdict::lose:
      return job.decision.result.deleted ? remove(job) : begin_content(job);
  }
}

void Worksite::to_record(Job& job, const std::optional<share::FileStat>& stat) {
  job.change.base = job.record ? job.record->sequence : 0;
  job.change.ticket = job.id();
  Record& made = job.change.record;
  made.entry = job.decision.result;
  if (job.hash) made.entry.hash = job.hash;
  if (stat) {
    made.ctime_ns = stat->ctime_ns;
    made.inode = stat->inode;
  } else if (job.record) {
    made.ctime_ns = job.record->ctime_ns;
    made.inode = job.record->inode;
  }
  job.stage = Job::Stage::record;
}

void Worksite::put_off_by(Job& job, const Error& error) {
  if (error.code.value() == share::kChangedMeanwhile) return job.put_off(kChangedHere);
  if (error.code.value() == ENOSPC || error.code.value() == EDQUOT) {
    log_warning("no space for \"{}\" ({} bytes); it is tried again", printable(job.path()),
                job.wanted().size);
    return job.put_off("no space: " + error.text());
  }
  log_info("{}", error.text());
  job.put_off(error.text());
}

void Worksite::set_metadata(Job& job) {
  if (job.decision.result.deleted) return to_record(job, std::nullopt);
  const auto stat = share_.stat(job.path());
  if (!stat) return put_off_by(job, stat.error());
  if (!stat.value()) return job.put_off(kChangedHere);
  if (!share::is_unchanged(*stat.value(), *job.record)) return adopt(job, *stat.value());
  const auto set = share::set_metadata(share_, job.path(), *stat.value(), job.decision.result.mode,
                                       job.decision.result.mtime_ns);
  if (!set) return put_off_by(job, set.error());
  to_record(job, set.value());
}

void Worksite::remove(Job& job) {
  forget_partial(job);
  const auto stat = share_.stat(job.path());
  if (!stat) return put_off_by(job, stat.error());
  const auto& now = stat.value();
  if (now && now->type == share::FileType::file) {
    if (!job.record || !share::is_unchanged(*now, *job.record)) return adopt(job, *now);
    Status gone;
    if (job.decision.verdict == sync::Verdict::lose) {
      gone = share::rename_file(share_, job.path(), *now,
                                sync::conflict_name(job.record->entry, false));
      if (!gone && gone.error().code.value() == EEXIST) {
        gone = share::rename_file(share_, job.path(), *now,
                                  sync::conflict_name(job.record->entry, true));
      }
    } else {
      gone = share::remove_file(share_, job.path(), *now);
    }
    if (!gone) return put_off_by(job, gone.error());
  }
  to_record(job, share::FileStat{});
}

void Worksite::begin_content(Job& job) {
  const auto stat = share_.stat(job.path());
  if (!stat) return put_off_by(job, stat.error());
  const auto& now = stat.value();
  if (now && now->type == share::FileType::other) {
    return job.put_off("a symlink or special file of that name is in the way");
  }
  if (now && now->type == share::FileType::file) {
    if (!job.record || !share::is_unchanged(*now, *job.record)) return adopt(job, *now);
    job.expected = now;
  }
  if (block_count(job.wanted().size) > kMostBlocks) return job.put_off("it is larger than 256 TiB");
  if (!now && adopt_deletion(job)) return;
  // Where a recorded file is gone, what is newer than it may come: an edit outlives a deletion.
  job.stage = Job::Stage::fetch;
}

/// Nobody has it any more: the peer was removed.
void Worksite::give_up(Job& job) {
  forget_partial(job);
  job.again = true;  // where it has a source by now
  job.stage = Job::Stage::drop;
}

/// What the path's tickets wanted that could be this file, by size and mtime; newest first.
std::vector<Entry> Worksite::likely_wishes(const Job& job, const share::FileStat& stat) const {
  std::vector<Entry> wishes = former_wishes(job);
  wishes.push_back(job.wanted());
  std::erase_if(wishes, [&](const Entry& wish) {
    return stat.size != wish.size || stat.mtime_ns != wish.mtime_ns || !wish.hash || wish.deleted;
  });
  std::ranges::reverse(wishes);
  return wishes;
}

/// Of the ticket that the store has by now, which may be a newer one: it remembers this one's too.
std::vector<Entry> Worksite::former_wishes(const Job& job) const {
  const auto stored = instance_.store.find_ticket(job.path());
  std::vector<Entry> wishes = stored ? stored->former : std::vector<Entry>{};
  for (Entry& wish : wishes) wish.path = job.path();
  return wishes;
}

/// A recorded file is gone: an earlier ticket's work, perhaps, from before a death. Then that is
/// recorded first, and is nobody's deletion.
bool Worksite::adopt_deletion(Job& job) {
  if (!job.record || job.record->entry.deleted) return false;
  for (const Entry& wish : former_wishes(job)) {
    if (!wish.deleted) continue;
    const sync::Decision decision =
        sync::decide(&job.record->entry, wish, instance_.writer, wall_ms());
    if (decision.verdict != sync::Verdict::take) continue;
    job.decision = decision;
    job.again = true;
    to_record(job, share::FileStat{});
    job.change.ticket = 0;
    return true;
  }
  return false;
}

/// A file that nobody has recorded: what is wanted, perhaps, or was wanted by an earlier ticket:
/// from before a death or copied here by hand. Then it needn't be fetched, and is nobody's edit.
void Worksite::adopt(Job& job, const share::FileStat& stat) {
  const std::vector<Entry> wishes = likely_wishes(job, stat);
  if (wishes.empty()) return job.put_off(kChangedHere);
  auto fd = share_.open_file(job.path());
  if (!fd) return put_off_by(job, fd.error());
  const auto hash = share::hash_file(fd.value().get(), [this] { return !context_.stopping(); });
  if (!hash) {
    job.stage = Job::Stage::back;
    return;
  }
  const auto wish = std::ranges::find(wishes, hash.value(), &Entry::hash);
  if (wish == wishes.end()) return job.put_off(kChangedHere);
  if (*wish != job.wanted()) {
    job.decision =
        sync::decide(job.record ? &job.record->entry : nullptr, *wish, instance_.writer, wall_ms());
    const sync::Verdict verdict = job.decision.verdict;
    if (verdict != sync::Verdict::take && verdict != sync::Verdict::lose) {
      return job.put_off(kChangedHere);
    }
    job.again = true;
  }
  const auto set = share::set_metadata(share_, job.path(), stat, wish->mode, wish->mtime_ns);
  if (!set) return put_off_by(job, set.error());
  job.hash = hash.value();
  forget_partial(job);
  to_record(job, set.value());
  if (job.again) job.change.ticket = 0;
}

void Worksite::forget_partial(Job& job) {
  if (auto gone = share::discard_partial(share_, job.path()); !gone) {
    log_warning("{}", gone.error().text());
  }
  job.done.clear();
  if (!job.view.ticket.done.empty()) instance_.tickets.forget_done(job.path(), job.id());
}

void Worksite::open_partial(Job& job) {
  const bool resume = !job.view.ticket.done.empty();
  auto partial = share::PartialFile::open(share_, job.path(), job.wanted().size, resume);
  if (!partial) return put_off_by(job, partial.error());
  job.partial = partial.take();
  job.blocks = block_count(job.wanted().size);
  if (job.partial->resumed()) {
    job.done = job.view.ticket.done;
  } else if (resume) {
    instance_.tickets.forget_done(job.path(), job.id());
  }
  job.done.resize((job.blocks + 7) / 8);
  if (job.blocks > 1) {
    job.hasher = std::make_unique<ContentHasher>(job.partial->fd(), job.wanted().size);
  }
  while (job.frontier < job.blocks && job.has(job.frontier)) ++job.frontier;
  if (job.hasher) {
    job.hasher->advance(std::min(job.wanted().size, job.frontier * block_bytes(job.wanted().size)));
  }
}

bool Worksite::note_block(Job& job, std::uint64_t block, std::uint64_t bytes) {
  instance_.traffic().received.fetch_add(bytes, std::memory_order_relaxed);
  job.done[block / 8] = static_cast<std::uint8_t>(job.done[block / 8] | 1u << (block % 8));
  while (job.frontier < job.blocks && job.has(job.frontier)) ++job.frontier;
  if (job.blocks <= 1) return true;  // it is published in a moment, or fetched again
  const std::uint64_t frontier_bytes = job.frontier * block_bytes(job.wanted().size);
  job.hasher->advance(std::min(job.wanted().size, frontier_bytes));
  if (!instance_.tickets.mark_done(job.path(), job.id(), block, 1)) return false;
  job.unsaved_bytes += bytes;
  if (job.unsaved_bytes >= save_interval(job.wanted().size)) save_done(job);
  return true;
}

void Worksite::save_done(Job& job) {
  // After a power cut the store may know blocks that the disk does not. The hash shows that; a file
  // without one is fetched from its beginning instead.
  if (job.unsaved_bytes == 0 || !job.wanted().hash) return;
  store::Transaction transaction{instance_.store};
  transaction.set_ticket_done(job.path(), job.id(), job.done);
  transaction.commit();
  job.unsaved_bytes = 0;
}

void Worksite::abandon(Job& job, const std::string& reason) {
  forget_partial(job);
  instance_.tickets.forget_done(job.path(), job.id());
  store::Transaction transaction{instance_.store};
  transaction.set_ticket_done(job.path(), job.id(), {});
  transaction.commit();
  job.unsaved_bytes = 0;
  job.put_off(reason);
}

void Worksite::prove(Job& job) {
  if (job.hasher) {
    const auto hash = job.hasher->finish();
    job.hasher.reset();
    if (!hash) return put_off_by(job, hash.error());
    job.hash = hash.value();
  } else if (job.blocks == 0) {
    job.hash = share::Hasher{}.finish();
  }
  if (job.wanted().hash && job.hash != job.wanted().hash) {
    log_warning("\"{}\" did not come as announced (wrong hash); it is fetched again",
                printable(job.path()));
    return abandon(job, "what came did not match its hash");
  }
  if (auto finished = job.partial->finish(job.decision.result.mode, job.decision.result.mtime_ns);
      !finished) {
    return put_off_by(job, finished.error());
  }
  job.stage = Job::Stage::fetched;
}

Result<share::FileStat> Worksite::keep_loser(const Job& job) {
  const Entry& loser = job.record->entry;
  for (const bool distinct : {false, true}) {
    const std::string name = sync::conflict_name(loser, distinct);
    auto linked = share::link_file(share_, job.path(), *job.expected, name);
    if (linked || linked.error().code.value() != EEXIST) return linked;
    // Linked before a crash, perhaps.
    const auto folder = share::split_path(job.path()).folder;
    const auto there = share_.stat(share::join_path(folder, name));
    if (there && there.value() && there.value()->inode == job.expected->inode) {
      return *job.expected;
    }
  }
  return os_error(EEXIST, "keep a conflict copy of", job.path());
}

void Worksite::publish(Job& job) {
  if (job.decision.verdict == sync::Verdict::lose && job.expected) {
    const auto linked = keep_loser(job);
    if (!linked) return put_off_by(job, linked.error());
    job.expected = linked.value();
    log_info("\"{}\" was changed here and elsewhere; this version is kept beside it",
             printable(job.path()));
  }
  const auto stat = job.partial->publish(job.expected);
  if (!stat) return put_off_by(job, stat.error());
  to_record(job, stat.value());
}

}  // namespace lefting::downloader
