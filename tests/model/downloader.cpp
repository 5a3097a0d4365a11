// A host's downloader: tickets become files, step by step.
#include <algorithm>

#include "common/sync/copy.h"
#include "common/sync/wish.h"
#include "tests/model/host.h"

namespace lefting::model {

bool Host::work(std::uint64_t now, const Fetch& fetch) {
  if (!job_) {
    const auto ready = [&](const auto& item) { return !waiting_.contains(item.first); };
    std::vector<const Ticket*> tickets;
    for (const auto& item : store.tickets) {
      if (ready(item)) tickets.push_back(&item.second);
    }
    if (tickets.empty()) return false;
    job_.emplace();
    job_->ticket = *tickets[random_() % tickets.size()];
    return true;
  }
  switch (job_->stage) {
    case Stage::begin:
      begin(*job_, now);
      break;
    case Stage::fetch:
      fetch_block(*job_, fetch);
      break;
    case Stage::prove:
      prove(*job_, fetch);
      break;
    case Stage::keep:
      keep_loser(*job_);
      break;
    case Stage::publish:
      if (!is_current(*job_)) {
        job_.reset();
      } else if (const auto placed = disk.publish(job_->ticket.wanted.path,
                                                  job_->ticket.wanted.size, job_->found)) {
        story_.tell(number_, "puts in place", job_->ticket.wanted);
        job_->placed = *placed;
        job_->stage = Stage::sync;
      } else {
        put_off();
      }
      break;
    case Stage::sync:
      disk.sync_names();
      job_->stage = Stage::record;
      break;
    case Stage::record:
      if (random_() % 30 == 0) {  // a disk that is full
        put_off();
      } else {
        record_result(*job_, now);
      }
      break;
  }
  return true;
}

/// Nothing was recorded since the plan was made.
bool Host::is_current(const Job& job) const {
  const Record* now = record_of(job.ticket.wanted.path);
  return (now == nullptr ? 0 : now->sequence) == (job.record ? job.record->sequence : 0);
}

void Host::put_off() {
  const auto at = store.tickets.find(job_->ticket.wanted.path);
  if (at != store.tickets.end() && at->second.id == job_->ticket.id) waiting_.insert(at->first);
  job_.reset();
}

void Host::tidy_up(const Fetch& fetch) {
  const auto partials = disk.partials();
  for (const auto& [path, partial] : partials) {
    if (!store.tickets.contains(path)) disk.discard_partial(path);
  }
  std::erase_if(store.tickets, [&](const auto& item) {
    const Entry& wanted = item.second.wanted;
    const auto stat = disk.stat(wanted.path);
    const bool is_free = !stat || stat->type == share::FileType::file;
    if (is_free || wanted.deleted) return false;
    for (std::size_t from = 0; from < kMostHosts; ++from) {
      const bool is_source = (item.second.sources >> from & 1) != 0;
      const Part part = wanted.hash ? Part::block : Part::entry;
      if (is_source && !fetch(from, wanted, part).has_lost) return false;
    }
    disk.discard_partial(wanted.path);
    return true;
  });
}

void Host::end_ticket(const Ticket& ticket) {
  const auto at = store.tickets.find(ticket.wanted.path);
  const bool is_it = at != store.tickets.end() && at->second.id == ticket.id;
  // Given up for want of a source, and it has one by now.
  if (is_it && (ticket.sources != 0 || at->second.sources == 0)) store.tickets.erase(at);
}

/// Not what has been told in an index meanwhile.
void Host::give_up_announced(const Job& job) {
  const auto at = store.tickets.find(job.ticket.wanted.path);
  const bool is_it = at != store.tickets.end() && at->second.id == job.ticket.id;
  disk.discard_partial(job.ticket.wanted.path);
  if (is_it && at->second.announced) store.tickets.erase(at);
  job_.reset();
}

void Host::begin(Job& job, std::uint64_t now) {
  const std::string& path = job.ticket.wanted.path;
  if (job.ticket.sources == 0) {
    disk.discard_partial(path);
    job.stage = Stage::record;
    return;
  }
  const Record* record = record_of(path);
  if (record != nullptr) job.record = *record;
  job.found = disk.stat(path);
  sync::Here here{
      .record = job.record ? &*job.record : nullptr, .standing = standing_of(path), .hashes = {}};
  if (job.found) here.set_file(*job.found);
  const auto former = [&] {
    const auto stored = store.tickets.find(path);
    const bool is_there = stored != store.tickets.end();
    return is_there ? sync::earlier_wishes(stored->second) : std::vector<Entry>{};
  };
  const auto plan = [&] {
    job.plan = sync::plan_ticket(job.ticket.wanted, former, here, store.writer, now);
  };
  plan();
  if (job.plan.step == sync::Step::hash) {
    here.hashes = hashes_of(disk.content(path), job.plan.kinds);
    plan();
  }
  carry_out(job, now);
}

void Host::carry_out(Job& job, std::uint64_t now) {
  const std::string& path = job.ticket.wanted.path;
  const sync::Step step = job.plan.step;
  if (step == sync::Step::wait || step == sync::Step::hash) {
    return job.ticket.announced ? give_up_announced(job) : put_off();
  }
  if (step != sync::Step::fetch) disk.discard_partial(path);
  bool done = true;
  if (step == sync::Step::restamp) {
    const auto placed = disk.restamp(path, *job.found, job.plan.result.mtime_ns);
    done = placed.has_value();
    job.placed = placed.value_or(share::FileStat{});
  } else if (step == sync::Step::remove) {
    done = disk.remove(path, *job.found);
  } else if (step == sync::Step::set_aside) {
    done = keep(job, *job.record, *job.found) && disk.remove(path, *job.found);
  } else if (step == sync::Step::fetch) {
    const bool is_unclear = job.plan.keeps || (job.found && !job.record);
    if (!job.ticket.wanted.hash && is_unclear) return give_up_announced(job);
    if (job.found && job.found->type == share::FileType::folder) job.found.reset();
    const bool resume = !job.ticket.done.empty();
    Partial* partial = disk.open_partial(path, resume);
    if (partial == nullptr) return make_way(job, now);
    job.stage = Stage::fetch;
    return;
  }
  if (!done) return put_off();
  job.stage = step == sync::Step::drop ? Stage::record : Stage::sync;
}

void Host::fetch_block(Job& job, const Fetch& fetch) {
  const std::string& path = job.ticket.wanted.path;
  Partial* partial = disk.partial(path);
  if (partial == nullptr) return put_off();
  if (job.block == kBlocks) {
    job.stage = Stage::prove;
    return;
  }
  const bool is_done = !job.ticket.done.empty() && (job.ticket.done[0] >> job.block & 1) != 0;
  if (is_done) {
    const Content block = partial->blocks[job.block];
    const auto& hash = job.ticket.wanted.hash;
    const bool is_known = hash && !unproved_.contains(job.ticket.id);
    has_mixed_ |= block > 0 && is_known && !hashes_of(block).has(hash);
  } else {
    const std::size_t from = pick_source(job.ticket.sources);
    const Served served = fetch(from, job.ticket.wanted, Part::block);
    if (served.has_lost && job.ticket.announced) return give_up_announced(job);
    if (served.has_lost) forget_source(job.ticket, from);
    if (!served.content) return put_off();
    if (!job.ticket.wanted.hash) unproved_.insert(job.ticket.id);
    partial->blocks[job.block] = *served.content;
    partial->on_disk = false;
    // Stored from time to time only; a newer wish may have taken the ticket's place.
    const auto stored = store.tickets.find(path);
    if (stored == store.tickets.end() || stored->second.id != job.ticket.id) return put_off();
    if (job.ticket.done.empty()) job.ticket.done = {0};
    job.ticket.done[0] = static_cast<std::uint8_t>(job.ticket.done[0] | 1u << job.block);
    if (random_() % 2 == 0) stored->second.done = job.ticket.done;
  }
  ++job.block;
}

/// False: it can't be known now; the job is over.
bool Host::learn_hash(Job& job, const Fetch& fetch) {
  if (job.ticket.wanted.hash) return true;
  const std::size_t from = pick_source(job.ticket.sources);
  const Served served = fetch(from, job.ticket.wanted, Part::entry);
  if (!served.hash) {
    served.has_lost ? give_up_announced(job) : put_off();
    return false;
  }
  job.ticket.wanted.hash = served.hash;
  const auto stored = store.tickets.find(job.ticket.wanted.path);
  const bool is_it = stored != store.tickets.end() && stored->second.id == job.ticket.id;
  if (is_it) stored->second.wanted.hash = served.hash;
  if (!is_it) put_off();
  return is_it;
}

void Host::prove(Job& job, const Fetch& fetch) {
  const std::string& path = job.ticket.wanted.path;
  Partial* partial = disk.partial(path);
  if (partial == nullptr) return put_off();
  if (!learn_hash(job, fetch)) return;
  const bool right = std::ranges::all_of(
      partial->blocks, [&](Content block) { return hashes_of(block).has(job.ticket.wanted.hash); });
  if (!right) {
    disk.discard_partial(path);
    const auto stored = store.tickets.find(path);
    if (stored != store.tickets.end() && stored->second.id == job.ticket.id) {
      stored->second.done.clear();
    }
    return put_off();
  }
  partial->mtime_ns = job.plan.result.mtime_ns;
  partial->on_disk = true;
  job.stage = job.plan.keeps ? Stage::keep : Stage::publish;
}

std::size_t Host::pick_source(std::uint64_t sources) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < kMostHosts; ++i) {
    if ((sources >> i & 1) != 0) all.push_back(i);
  }
  return all[random_() % all.size()];
}

void Host::forget_source(const Ticket& ticket, std::size_t from) {
  const auto at = store.tickets.find(ticket.wanted.path);
  if (at == store.tickets.end() || at->second.id != ticket.id) return;
  at->second.sources &= ~(std::uint64_t{1} << from);
  if (at->second.sources != 0) return;
  for (Peer& peer : store.peers) peer.seen = 0;
}

bool Host::keep(Job& job, const Record& loser, share::FileStat& stat) {
  for (const bool distinct : {false, true}) {
    const std::string path = sync::conflict_path(loser.entry, distinct);
    const sync::Copy copy = sync::plan_copy(loser.entry, path, record_of(path));
    if (copy.need == sync::CopyNeed::none) return true;
    if (copy.need == sync::CopyNeed::taken) continue;
    const auto there = disk.stat(path);
    if (there && there->inode != stat.inode) continue;  // else linked before a death
    if (!there) {
      const auto linked = disk.link(loser.entry.path, stat, path);
      if (!linked) return false;
      story_.tell(number_, "keeps", loser.entry);
      stat = *linked;
    }
    job.kept.emplace();
    job.kept->record.entry = copy.entry;
    job.kept->record.inode = stat.inode;
    // At once: who dies now, or finds another wish, need not remember it. The name is on disk
    // before: a recorded copy that is missing was removed on purpose.
    disk.sync_names();
    if (commit(job.kept->record, copy.base)) {
      job.kept->base = store.sequence;
    } else {
      job.kept.reset();
    }
    return true;
  }
  return false;
}

void Host::keep_loser(Job& job) {
  if (!keep(job, *job.record, *job.found)) return put_off();
  job.stage = Stage::publish;
}

void Host::make_way(Job& job, std::uint64_t now) {
  const std::string& path = job.ticket.wanted.path;
  const std::string in_the_way = path.substr(0, path.find('/'));
  const Record* record = record_of(in_the_way);
  const sync::Here here{.record = record, .standing = standing_of(in_the_way), .hashes = {}};
  job.plan = sync::plan_way(here, store.tickets.contains(in_the_way),
                            {.writer = store.writer, .now_ms = now});
  if (job.plan.step == sync::Step::wait) return put_off();
  job.record = *record;
  auto stat = disk.stat(in_the_way);
  if (!keep(job, *job.record, *stat) || !disk.remove(in_the_way, *stat)) return put_off();
  job.stage = Stage::sync;
}

void Host::record_result(Job& job, std::uint64_t now_ms) {
  if (job.plan.step == sync::Step::drop) {
    end_ticket(job.ticket);
    job_.reset();
    return;
  }
  Record made;
  made.entry = job.plan.result;
  if (job.plan.step == sync::Step::fetch) made.entry.hash = job.ticket.wanted.hash;
  made.ctime_ns = job.placed.ctime_ns;
  made.inode = job.placed.inode;
  if (!commit(std::move(made), job.record ? job.record->sequence : 0)) {
    const std::string& path = job.ticket.wanted.path;
    const Record* now = record_of(path);
    const bool placed = job.plan.step == sync::Step::fetch && !job.found;
    if (placed && now != nullptr &&
        sync::is_overtaken(job.ticket.wanted, *now, store.writer, now_ms)) {
      disk.remove(path, job.placed);
    }
    return job_.reset();
  }
  if (job.kept) {
    Record& kept = job.kept->record;
    const auto stat = disk.stat(kept.entry.path);
    kept.ctime_ns = stat ? stat->ctime_ns : 0;
    const bool untouched = stat && stat->inode == kept.inode && stat->size == kept.entry.size &&
                           stat->mtime_ns == kept.entry.mtime_ns;
    if (untouched) commit(kept, job.kept->base);
  }
  if (!job.plan.again) end_ticket(job.ticket);
  job_.reset();
}

}  // namespace lefting::model
