#include "downloader/batch.h"

#include <algorithm>
#include <map>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/path.h"
#include "common/share/reason_of.h"
#include "common/state/layout.h"

namespace lefting::downloader {

namespace {

/// 0.25 s doubling to 5 min.
std::uint64_t retry_after(std::uint32_t attempts) {
  return std::min<std::uint64_t>(std::uint64_t{250} << std::min(attempts, 20u), 300'000);
}

constexpr std::size_t kManyFiles = 8;
/// What a disk writes in the time that a flush takes, in bytes.
constexpr std::uint64_t kBytesAFlush = 64u << 10;

bool is_stop(const Error& error) { return error.code == net::make_error_code(net::Fault::stopped); }

}  // namespace

Batch::Batch(RoleContext& context, const share::Share& share, share::IgnoreFile& ignore,
             Sources& sources, Relists& relists, TrashIndex& trash)
    : context_{context},
      instance_{context.instance()},
      share_{share},
      ignore_{ignore},
      sources_{sources},
      site_{context, share, relists, trash} {}

std::vector<Job*> Batch::in_stage(Job::Stage stage) {
  std::vector<Job*> out;
  for (Job& job : jobs_) {
    if (job.stage == stage) out.push_back(&job);
  }
  return out;
}

std::uint64_t Batch::run(std::vector<state::TicketView> tickets) {
  has_enough_ = false;
  watch_rounds_ = state::scan_words(instance_.segment).watch_rounds.load();
  jobs_.clear();
  jobs_.resize(tickets.size());
  const Status rules = ignore_.refresh();
  for (std::size_t i = 0; i < tickets.size(); ++i) jobs_[i].view = std::move(tickets[i]);
  // What is wanted first: a deletion may be the other half of its rename.
  for (const bool deletions : {false, true}) {
    for (Job& job : jobs_) {
      if (job.wanted().deleted == deletions) begin(job, rules);
    }
  }
  record_all();  // deletions and the like don't wait for what is fetched
  fetch_all();
  finish_fetched();
  record_all();
  const std::uint64_t awaited = settle_rest();
  for (const Job& job : jobs_) {
    if (job.stage == Job::Stage::over && job.partial) site_.sketch(job);
  }
  return awaited;
}

void Batch::begin(Job& job, const Status& rules) {
  const bool mends_rules = job.path() == share::kIgnoreName;
  if (!rules && !mends_rules) return job.put_off(share::reason_of(rules.error()));
  if (ignore_.rules().covers(job.path())) return leave_out(job);
  if (context_.stopping()) return;
  if (!job.wanted().deleted) return site_.begin(job);
  if (Job* const wanted = find_rename(job)) {
    site_.begin_rename(job, *wanted);
  } else {
    site_.begin(job);
  }
  pass(state::FaultPoint::removed);
}

/// What is to be fetched and is here, in the file that is to be removed.
Job* Batch::find_rename(const Job& deletion) {
  const std::vector<Job*> wanted = in_stage(Job::Stage::fetch);
  if (wanted.empty()) return nullptr;
  const auto record = instance_.dictionary.find(deletion.path());
  if (!record || !record->entry.hash) return nullptr;
  const auto at = std::ranges::find(wanted, record->entry.hash,
                                    [](const Job* job) { return job->wanted().hash; });
  return at == wanted.end() ? nullptr : *at;
}

/// Once the scanner has the same rules: it asks the peers anew when they change.
void Batch::leave_out(Job& job) {
  if (instance_.store.ignore_digest() != ignore_.digest()) {
    return job.put_off({Cause::ignored, "new rules in .leftingignore are being applied"});
  }
  job.ignored = true;
  site_.drop(job);
}

void Batch::fetch_all() {
  for (Job* job : in_stage(Job::Stage::fetch)) site_.take_local(*job);
  // Each round asks every source once; a job whose source failed finds another in the next.
  int preferred = -1;
  while (!context_.stopping() && !has_enough_) {
    std::array<std::vector<Job*>, kMaxPeers> by_source;
    bool any = false;
    for (Job* job : in_stage(Job::Stage::fetch)) {
      const auto slot = sources_.pick(job->view.ticket.sources, job->view.attempts, preferred);
      if (!slot) {
        job->put_off({Cause::no_source, "no source is online"}, state::kNoRetry);
        continue;
      }
      by_source[static_cast<std::size_t>(*slot)].push_back(job);
      preferred = *slot;
      any = true;
    }
    if (!any) return;
    for (int slot = 0; slot < kMaxPeers; ++slot) {
      const auto& jobs = by_source[static_cast<std::size_t>(slot)];
      if (!jobs.empty()) fetch_from(slot, jobs);
    }
  }
}

void Batch::fetch_from(int slot, const std::vector<Job*>& jobs) {
  auto connection = sources_.open(slot);
  if (!connection) return;  // it is offline now: the next round asks another
  for (Job* job : jobs) {
    // Of small files each is opened when its turn comes.
    if (!job->partial && block_count(job->wanted().size) > 1) site_.open_partial(*job);
  }
  Pipeline pipeline{site_, *connection.value(), instance_.settings.compress};
  Status fetched = begin_deltas(pipeline, jobs);
  if (fetched) fetched = fetch_blocks(pipeline, jobs);
  has_enough_ |= pipeline.left_some();
  for (Job* job : jobs) {
    const Status written = job->writer ? job->writer->settle() : Status{};
    if (!written) site_.give_up(*job, written);
  }
  for (Job* job : jobs) {
    if (job->stage == Job::Stage::fetch && job->delta && job->delta->has_all()) {
      site_.copy_old(*job);
    }
  }
  if (fetched) fetched = learn_hashes(pipeline, jobs);
  if (!fetched) {
    const Error& why = fetched.error();
    if (why.code == wire::make_error_code(wire::Code::not_trusted)) {
      instance_.peers.set_state(slot, state::PeerState::refused, why.advice);
      instance_.wakes.supervisor.signal();
    }
    sources_.drop(slot, why, !is_stop(why));
  }
  for (Job* job : jobs) {
    if (job->denied && job->view.ticket.announced) {
      site_.give_up_announced(*job);
    } else if (job->denied) {
      site_.forget_source(*job, slot);
    }
    if (job->stage == Job::Stage::fetch && job->is_whole() && !job->awaits_hash()) {
      job->delta ? site_.end_delta(*job) : site_.prove(*job);
    } else {
      site_.save_done(*job);
    }
  }
}

Status Batch::fetch_blocks(Pipeline& pipeline, const std::vector<Job*>& jobs) {
  Swarm swarm{context_, site_, sources_};
  if (jobs.size() == 1 && swarm.is_worth(*jobs[0])) return swarm.fetch(*jobs[0], pipeline);
  return pipeline.fetch(jobs);
}

Status Batch::begin_deltas(Pipeline& pipeline, const std::vector<Job*>& jobs) {
  for (Job* job : jobs) {
    if (job->stage != Job::Stage::fetch) continue;
    if (site_.wants_delta(*job)) {
      auto blocks = pipeline.fetch_manifest(*job);
      if (!blocks) return blocks.error();
      job->no_delta = true;  // not a second time
      if (blocks.value()) site_.begin_delta(*job, std::move(*blocks.take()));
    }
    if (job->awaits_hash() && job->found && !job->delta) site_.await_hash(*job);
  }
  return {};
}

Status Batch::learn_hashes(Pipeline& pipeline, const std::vector<Job*>& jobs) {
  for (Job* job : jobs) {
    if (job->stage != Job::Stage::fetch || !job->is_whole() || !job->awaits_hash()) continue;
    const auto hash = pipeline.fetch_hash(*job);
    if (!hash) return hash.error();
    if (job->stage == Job::Stage::fetch) site_.learn_hash(*job, hash.value());
  }
  return {};
}

void Batch::finish_fetched() {
  sync_contents(in_stage(Job::Stage::fetched));
  for (Job* job : in_stage(Job::Stage::fetched)) {
    pass(state::FaultPoint::fetched);
    site_.publish(*job);
    pass(state::FaultPoint::published);
  }
}

void Batch::sync_contents(const std::vector<Job*>& fetched) {
  if (sync_together(fetched)) return;
  // One wave: the first fsync writes the journal for all, the others find it written.
  for (Job* job : fetched) job->partial->start_sync();
  for (Job* job : fetched) {
    if (auto synced = job->partial->sync_content(); !synced) {
      site_.abandon(*job, share::reason_of(synced.error()));
    }
  }
}

/// Each fsync makes the disk flush its cache, some 70 us. One flush does for all, but then all that
/// others have written must be written too: that must be less than the flushes would cost.
bool Batch::sync_together(const std::vector<Job*>& fetched) const {
  if (fetched.size() < kManyFiles) return false;
  std::uint64_t most = fetched.size() * kBytesAFlush;
  for (const Job* job : fetched) most += 2 * job->wanted().size;
  const auto dirty = dirty_bytes();
  return dirty && *dirty <= most && share::sync_file_system(share_).ok();
}

void Batch::sync_folders() {
  std::map<std::string_view, Status> folders;
  for (Job* job : in_stage(Job::Stage::record)) {
    const std::string_view folder = share::split_path(job->change.record.entry.path).folder;
    auto [at, is_new] = folders.try_emplace(folder);
    if (is_new) at->second = share::sync_folder(share_, folder);
    // Not on disk, so nobody is told: the next attempt finds the file there.
    if (!at->second) job->put_off(share::reason_of(at->second.error()));
  }
  for (const Job& job : jobs_) {
    if (job.stage == Job::Stage::record && job.plan.result.deleted) {
      share_.prune(share::split_path(job.change.record.entry.path).folder);
    }
  }
}

void Batch::record_all() {
  sync_folders();
  std::vector<sync::Change> changes;
  std::vector<sync::TicketRef> dropped;
  const std::vector<Job*> recorded = in_stage(Job::Stage::record);
  for (Job* job : recorded) {
    changes.push_back(std::move(job->change));
    job->stage = Job::Stage::over;  // whatever comes of it: a change is committed once
  }
  for (Job* job : recorded) {
    if (job->kept) site_.losers().look_at_kept(*job);
    if (job->kept) changes.push_back(std::move(*job->kept));
  }
  for (Job* job : in_stage(Job::Stage::drop)) {
    dropped.push_back({.path = job->path(),
                       .id = job->id(),
                       .unwanted = job->plan.again,
                       .ignored_by = job->ignored ? ignore_.digest() : ""});
    job->stage = Job::Stage::over;
  }
  if (changes.empty() && dropped.empty()) return;
  pass(state::FaultPoint::synced);
  const std::vector<bool> written = instance_.index.commit(changes, std::move(dropped));
  look_at_unwatched(changes);  // before any of it is taken away again
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    if (!written[i]) site_.plan_anew(*recorded[i]);
  }
  instance_.wakes.scanner.signal();  // it tells the news
}

/// What was gone again before the scanner watched its folder, and recorded only after the scanner
/// had looked for what is gone there: of that nobody has told it.
void Batch::look_at_unwatched(const std::vector<sync::Change>& recorded) {
  if (state::scan_words(instance_.segment).watch_rounds.load() == watch_rounds_) return;
  for (const sync::Change& change : recorded) {
    const Entry& entry = change.record.entry;
    if (entry.deleted) continue;
    const auto stat = share_.stat(entry.path);
    if (stat && !stat.value()) return instance_.ask_traversal();
  }
}

void Batch::pass(state::FaultPoint point) { state::fault_point(instance_.segment.layout(), point); }

std::uint64_t Batch::settle_rest() {
  const std::uint64_t now = monotonic_ms();
  std::uint64_t awaited = 0;
  for (Job& job : jobs_) {
    const bool unfinished = job.stage == Job::Stage::fetch || job.stage == Job::Stage::fetched ||
                            job.stage == Job::Stage::back ||
                            (job.stage == Job::Stage::over && (job.plan.again || job.ignored));
    if (unfinished) {
      if (job.partial) site_.save_done(job);
      instance_.tickets.give_back(job.path(), job.id());
    } else if (job.stage == Job::Stage::wait) {
      const std::uint64_t at =
          job.retry_ms == state::kNoRetry
              ? state::kNoRetry
              : now + (job.retry_ms != 0 ? job.retry_ms : retry_after(job.view.attempts));
      instance_.tickets.put_off(job.path(), job.id(), at, job.reason);
      if (at == state::kNoRetry) awaited |= job.view.ticket.sources;
    }
  }
  return awaited;
}

}  // namespace lefting::downloader
