#include "downloader/worksite.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/hash.h"
#include "common/share/ignore.h"
#include "common/share/path.h"
#include "common/share/reason_of.h"
#include "common/share/trash.h"
#include "common/sync/wish.h"

namespace lefting::downloader {

namespace {

/// A peer may announce any size; what is noted of its blocks must stay small.
constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 24;

/// The ticket ends, unless it has a source by now, or is not only announced.
sync::Plan plan_to_give_up() {
  return {.step = sync::Step::drop, .result = {}, .again = true, .reason = {}};
}

sync::Standing standing_of(const std::optional<share::FileStat>& stat, const Record* record) {
  if (!stat) return sync::Standing::nothing;
  if (stat->type == share::FileType::folder) return sync::Standing::folder;
  if (stat->type != share::FileType::file) return sync::Standing::special;
  const bool untouched = record != nullptr && share::is_unchanged(*stat, *record);
  return untouched ? sync::Standing::recorded : sync::Standing::other;
}

}  // namespace

Worksite::Worksite(RoleContext& context, const share::Share& share, Relists& relists,
                   TrashIndex& trash)
    : context_{context},
      instance_{context.instance()},
      share_{share},
      relists_{relists},
      trash_{trash},
      losers_{instance_, share} {}

void Worksite::begin(Job& job) {
  if (look(job)) carry_out(job);
}

void Worksite::begin_rename(Job& job, Job& wanted) {
  if (!look(job)) return;
  const bool is_rename = job.plan.step == sync::Step::remove && !job.plan.again && job.record &&
                         job.record->entry.hash == wanted.wanted().hash &&
                         job.record->entry.mtime_ns == wanted.wanted().mtime_ns && !wanted.found &&
                         !wanted.plan.keeps;
  if (!is_rename) return carry_out(job);
  for (Job* one : {&job, &wanted}) {
    if (auto gone = forget_partial(*one); !gone) return carry_out(job);
  }
  const auto moved = share::move_file(share_, job.path(), *job.found, wanted.path());
  if (!moved) return carry_out(job);
  to_record(job, share::FileStat{});
  const auto set = share::set_metadata(share_, wanted.path(), moved.value(),
                                       wanted.plan.result.mode, wanted.plan.result.mtime_ns);
  if (!set) return put_off_by(wanted, set.error());
  wanted.hash = wanted.wanted().hash;
  wanted.placed = set.value();
  to_record(wanted, set.value());
}

/// Makes the plan. False: it can't be made now, and the job is given back or put off.
bool Worksite::look(Job& job) {
  if (job.view.ticket.sources == 0) {
    job.plan = plan_to_give_up();  // nobody has it any more: the peer was removed
    return true;
  }
  job.record = instance_.dictionary.find(job.path());
  const Record* record = job.record ? &*job.record : nullptr;
  const auto stat = share_.stat(job.path());
  sync::Here here{.record = record, .standing = sync::Standing::unknown, .hashes = {}};
  if (stat) {
    job.found = stat.value();
    here.standing = standing_of(job.found, record);
    if (job.found) here.set_file(*job.found);
  }
  make_plan(job, here);
  if (job.plan.step == sync::Step::hash) {
    const auto hashes = hash_here(job, here);
    if (!hashes) {
      put_off_by(job, hashes.error());
      return false;
    }
    here.hashes = hashes.value();
    make_plan(job, here);
  }
  const bool is_unread = job.plan.step == sync::Step::wait && !stat;
  if (is_unread) put_off_by(job, stat.error());
  return !is_unread;
}

void Worksite::make_plan(Job& job, const sync::Here& here) const {
  // Of the ticket that the store has by now, which may be a newer one: it remembers this one's too.
  const auto former = [&] {
    const auto stored = instance_.store.find_ticket(job.path());
    return stored ? sync::earlier_wishes(*stored) : std::vector<Entry>{};
  };
  job.plan = sync::plan_ticket(job.wanted(), former, here, instance_.writer, wall_ms());
}

/// What is as it was recorded needn't be read: it may be what is wanted, that is all.
Result<ContentHashes> Worksite::hash_here(const Job& job, const sync::Here& here) const {
  const bool is_recorded = here.standing == sync::Standing::recorded;
  const bool has_begun = !job.view.ticket.done.empty();  // so it was found to be something else
  if (is_recorded && has_begun) return ContentHashes{};
  auto fd = share_.open_file(job.path());
  auto hashes = fd ? share::hash_file(fd.value().get(), job.plan.kinds,
                                      [this] { return !context_.stopping(); })
                   : Result<ContentHashes>{fd.error()};
  if (!hashes && is_recorded && !context_.stopping()) return ContentHashes{};
  return hashes;
}

void Worksite::carry_out(Job& job) {
  const bool keeps_partial = job.plan.step == sync::Step::fetch ||
                             job.plan.step == sync::Step::wait || job.plan.step == sync::Step::hash;
  // Of an older wish, perhaps.
  if (auto gone = keeps_partial ? Status{} : forget_partial(job); !gone) {
    return put_off_by(job, gone.error());
  }
  switch (job.plan.step) {
    case sync::Step::drop:
      job.stage = Job::Stage::drop;
      return;
    case sync::Step::record:
      return to_record(job, share::FileStat{});
    case sync::Step::restamp:
      return restamp(job);
    case sync::Step::remove:
    case sync::Step::set_aside:
      return remove(job);
    case sync::Step::fetch:
      if (block_count(job.wanted().size) > kMostBlocks) {
        return job.put_off({Cause::too_large, "it is larger than 256 TiB"});
      }
      if (auto good = share::check_ignore_file(job.path(), job.wanted().size); !good) {
        return job.put_off({Cause::too_large, good.error().text()});
      }
      if (job.awaits_hash() && may_be_here(job)) return await_hash(job);
      // An empty folder gives way, one with something in it doesn't.
      if (job.found && job.found->type == share::FileType::folder) job.found.reset();
      job.stage = Job::Stage::fetch;
      return;
    case sync::Step::hash:  // nobody hashes twice
    case sync::Step::wait:
      return job.view.ticket.announced ? give_up_announced(job) : job.put_off(job.plan.reason);
  }
}

void Worksite::drop(Job& job) {
  job.plan = {.step = sync::Step::drop, .result = {}, .reason = {}};
  carry_out(job);
}

void Worksite::to_record(Job& job, const share::FileStat& stat) {
  losers_.find_kept(job);
  job.change.base = job.record ? job.record->sequence : 0;
  job.change.ticket = job.plan.again ? 0 : job.id();
  Record& made = job.change.record;
  made.entry = job.plan.result;
  if (job.hash) made.entry.hash = job.hash;
  made.ctime_ns = stat.ctime_ns;
  made.inode = stat.inode;
  job.stage = Job::Stage::record;
}

void Worksite::await_hash(Job& job) {
  if (job.view.ticket.announced) return give_up_announced(job);
  job.put_off({Cause::source_busy, "its source is still hashing it"});
}

void Worksite::give_up_announced(Job& job) {
  job.close();
  job.plan = plan_to_give_up();
  carry_out(job);
}

void Worksite::put_off_by(Job& job, const Error& error) {
  if (error.code.value() == ECANCELED) return job.give_back();  // the role ends
  const Reason reason = share::reason_of(error);
  if (reason.cause == Cause::no_space) {
    log_warning("no space for \"{}\" ({} bytes); it is tried again", printable(job.path()),
                job.wanted().size);
  } else if (reason.cause != Cause::changing) {
    log_info("{}", reason.text);
  }
  job.put_off(reason);
}

void Worksite::restamp(Job& job) {
  const auto set = share::set_metadata(share_, job.path(), *job.found, job.plan.result.mode,
                                       job.plan.result.mtime_ns);
  if (!set) return put_off_by(job, set.error());
  to_record(job, set.value());
}

void Worksite::remove(Job& job) {
  share::FileStat stat = *job.found;
  const Status kept = job.plan.step == sync::Step::set_aside ? losers_.keep(job, *job.record, stat)
                                                             : put_into_trash(job.path(), stat);
  if (!kept) return put_off_by(job, kept.error());
  if (auto gone = share::remove_file(share_, job.path(), stat); !gone) {
    return put_off_by(job, gone.error());
  }
  to_record(job, share::FileStat{});
}

void Worksite::make_way(Job& job, const Error& why) {
  std::string path;
  std::optional<share::FileStat> stat;
  for (auto slash = job.path().find('/'); slash != std::string::npos && !stat;
       slash = job.path().find('/', slash + 1)) {
    path = job.path().substr(0, slash);
    const auto found = share_.stat(path);
    if (!found) return put_off_by(job, found.error());
    if (found.value() && found.value()->type == share::FileType::file) stat = found.value();
  }
  if (!stat) return put_off_by(job, why);
  const auto record = instance_.dictionary.find(path);
  const Record* known = record ? &*record : nullptr;
  const sync::Here here{.record = known, .standing = standing_of(stat, known), .hashes = {}};
  job.plan = sync::plan_way(here, instance_.tickets.find(path).has_value(),
                            {.writer = instance_.writer, .now_ms = wall_ms()});
  if (job.plan.step == sync::Step::wait) return job.put_off(job.plan.reason);
  job.record = record;
  if (auto kept = losers_.keep(job, *record, *stat); !kept) return put_off_by(job, kept.error());
  if (auto gone = share::remove_file(share_, path, *stat); !gone) {
    return put_off_by(job, gone.error());
  }
  log_info("\"{}\" is a folder elsewhere; the file of that name is kept beside it",
           printable(path));
  to_record(job, share::FileStat{});
}

Status Worksite::put_into_trash(const std::string& path, share::FileStat& stat) const {
  if (!instance_.settings.trash) return {};
  const auto after = share::put_into_trash(share_, path, stat, wall_ms());
  if (!after) return after.error();
  stat = after.value();
  return {};
}

void Worksite::plan_anew(Job& job) {
  const auto record = instance_.dictionary.find(job.path());
  if (job.placed && record &&
      sync::is_overtaken(job.wanted(), *record, instance_.writer, wall_ms())) {
    if (auto gone = share::remove_file(share_, job.path(), *job.placed); !gone) {
      log_info("{}", gone.error().text());
    }
  }
  job.give_back();  // at once, so that the scanner leaves alone what was put in place
}

void Worksite::forget_source(Job& job, int slot) {
  const std::uint64_t bit = std::uint64_t{1} << slot;
  const bool is_last = (job.view.ticket.sources & ~bit) == 0;
  if (is_last && !relists_.take()) return;
  instance_.index.write_tickets([&](store::Transaction& transaction) {
    auto ticket = transaction.find_ticket(job.path());
    if (!ticket || ticket->id != job.id()) return std::vector<Ticket>{};
    ticket->sources &= ~bit;
    transaction.set_ticket_offer(*ticket);
    if (is_last) transaction.forget_seen();
    return std::vector<Ticket>{std::move(*ticket)};
  });
  if (!is_last) return;
  log_info("nobody has \"{}\" as it was offered; the peers are asked anew what they have",
           printable(job.path()));
  instance_.peers.ask_anew();
  instance_.wakes.supervisor.signal();
}

Status Worksite::forget_partial(Job& job) {
  if (auto gone = share::discard_partial(share_, job.path()); !gone) return gone;
  job.done.clear();
  if (!job.view.ticket.done.empty()) instance_.tickets.forget_done(job.path(), job.id());
  return {};
}

void Worksite::publish(Job& job) {
  // While it was fetched the scanner may have recorded something else.
  const auto now = instance_.dictionary.find(job.path());
  if ((now ? now->sequence : 0) != (job.record ? job.record->sequence : 0)) return job.give_back();
  if (job.plan.keeps) {
    if (auto kept = losers_.keep(job, *job.record, *job.found); !kept) {
      return put_off_by(job, kept.error());
    }
    log_info("\"{}\" was changed here and elsewhere; this version is kept beside it",
             printable(job.path()));
  } else if (job.found) {
    if (auto kept = put_into_trash(job.path(), *job.found); !kept) {
      return put_off_by(job, kept.error());
    }
  }
  const auto stat = job.partial->publish(job.found);
  if (!stat) return put_off_by(job, stat.error());
  if (!job.found) job.placed = stat.value();
  to_record(job, stat.value());
}

}  // namespace lefting::downloader
