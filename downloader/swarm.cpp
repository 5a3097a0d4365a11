#include "downloader/swarm.h"

#include <sys/socket.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"

namespace lefting::downloader {

namespace {

/// Smaller files are not worth the asking, in bytes.
constexpr std::uint64_t kWorthSharing = 16u << 20;
/// More of them have enough to give, and each costs a connection and a thread.
constexpr std::size_t kMostMembers = 8;
constexpr std::uint64_t kGatherAgainMs = 10'000;
/// Who was no help is asked again after twice as long each time, up to this.
constexpr std::uint64_t kMostGatherMs = 600'000;
/// Until it is known who fetches too, all ask for the same.
constexpr milliseconds kFirstAnswers{50};
/// For so long what a member has is taken as it was said; and by so much of it it is judged.
constexpr std::uint64_t kTurnMs = 250;
/// A source closes a connection after 120 s without a request.
constexpr std::uint64_t kKeepMs = 60'000;
/// Before who had nothing new is asked again: twice as long each time.
constexpr milliseconds kLeastPause{5};
constexpr milliseconds kMostPause{640};
/// Who gave something is about to give more.
constexpr std::uint64_t kLullMs = 50;
constexpr int kMostFailures = 3;
/// A member that is so much slower than the source is no help.
constexpr std::uint64_t kSlow = 8;
/// For so long at least a member's last blocks are waited for.
constexpr std::uint64_t kPatienceMs = 1000;
/// Who gets no further in so long isn't fetching.
constexpr std::uint64_t kStuckMs = 30'000;
/// At the end, for what is on its way.
constexpr milliseconds kGrace{100};

}  // namespace

Swarm::Swarm(RoleContext& context, Worksite& site, Sources& sources)
    : context_{context}, instance_{context.instance()}, site_{site}, sources_{sources} {}

bool Swarm::is_worth(const Job& job) const {
  // What came wrong once, so that nothing was kept, is fetched from those that have proved it.
  const bool came_wrong = job.view.attempts > 0 && job.view.ticket.done.empty();
  return job.stage == Job::Stage::fetch && !job.delta && job.writer && job.frontier < job.blocks &&
         !came_wrong && job.wanted().size >= kWorthSharing && !job.wanted().version.empty() &&
         (instance_.peers.online_mask() & ~job.view.ticket.sources) != 0;
}

Status Swarm::fetch(Job& job, Pipeline& source) {
  asked_ = job.done;
  for (std::uint64_t block = 0; block < job.blocks; ++block) missing_ += !has_bit(asked_, block);
  block_bytes_ = block_bytes(job.wanted().size);
  source_.last_ms = monotonic_ms();
  struct Session {
    Swarm& swarm;
    Pipeline& source;
    ~Session() {
      swarm.end();
      source.share_job(nullptr);
    }
  };
  Status fetched;
  {
    const Session session{*this, source};
    source.share_job(&turn_);
    fetched = fetch_all(job, source);
  }
  if (thrown_) std::rethrow_exception(thrown_);
  return fetched;
}

Status Swarm::fetch_all(Job& job, Pipeline& source) {
  std::unique_lock turn{turn_};
  gather(job);
  changed_.wait_for(turn, kFirstAnswers,
                    [this] { return std::ranges::all_of(members_, &Member::is_heard); });
  while (!is_done(job)) {
    begin(source_);
    turn.unlock();
    auto fetched = source.fetch_each(
        job, [&] { return next_of_source(job); },
        [&](std::uint64_t block) { note_of_source(block); });
    turn.lock();
    give_back(source_);
    if (!fetched) return fetched;
    if (is_done(job)) break;
    if (idle_since_ms_ == 0) begin_idle();
    cut_slow();
    choose_for_source(job);
    if (source_.chosen.empty()) changed_.wait_for(turn, milliseconds{kLullMs});
  }
  return {};
}

bool Swarm::is_done(const Job& job) const {
  return missing_ == 0 || job.stage != Job::Stage::fetch || thrown_ || context_.stopping();
}

void Swarm::end() {
  {
    std::unique_lock turn{turn_};
    is_over_ = true;
    changed_.notify_all();
    changed_.wait_for(turn, kGrace,
                      [this] { return std::ranges::none_of(members_, &Member::is_busy); });
    for (Member& member : members_) {
      if (member.is_busy && member.connection != nullptr) cut(member);
    }
  }
  members_.clear();  // waits for their threads
}

void Swarm::gather(Job& job) {
  gather_at_ms_ = monotonic_ms() + kGatherAgainMs;
  std::erase_if(members_, [](const Member& member) { return member.is_gone; });
  auto peers = instance_.peers.list();
  // Not all begin with the same ones.
  const std::size_t first = peers.empty() ? 0 : instance_.device().bytes[0] % peers.size();
  std::ranges::rotate(peers, peers.begin() + static_cast<std::ptrdiff_t>(first));
  for (const state::PeerView& view : peers) {
    if (members_.size() == kMostMembers) return;
    if (is_candidate(job, view)) begin_member(job, view.peer);
  }
}

bool Swarm::is_candidate(const Job& job, const state::PeerView& view) const {
  const Peer& peer = view.peer;
  const bool is_source = (job.view.ticket.sources >> peer.slot & 1) != 0;
  const bool is_there =
      view.state == state::PeerState::online && peer.device && !peer.address.empty();
  const bool is_member = std::ranges::find(members_, peer.slot, &Member::slot) != members_.end();
  const std::uint64_t again_ms = candidates_[static_cast<std::size_t>(peer.slot)].again_ms;
  return is_there && !is_source && !is_member && again_ms <= monotonic_ms();
}

void Swarm::begin_member(Job& job, const Peer& peer) {
  Member& member = members_.emplace_back();
  member.slot = peer.slot;
  member.device = *peer.device;
  member.had_ms = monotonic_ms();
  try {
    member.thread = std::jthread{[this, &job, &member] { serve(job, member); }};
  } catch (const std::system_error& error) {
    log_info("no thread to fetch from peer {}: {}", peer.slot, error.what());
    members_.pop_back();
  } catch (...) {
    members_.pop_back();
    throw;
  }
}

void Swarm::serve(Job& job, Member& member) {
  bool is_no_help = true;
  std::exception_ptr thrown;
  try {
    is_no_help = !fetch_from(job, member);
  } catch (...) {
    thrown = std::current_exception();
  }
  const std::lock_guard turn{turn_};
  if (thrown) thrown_ = thrown;
  give_back(member);
  member.has.clear();
  member.connection = nullptr;
  member.is_heard = true;
  member.is_busy = false;
  member.is_gone = true;
  Candidate& candidate = candidates_[static_cast<std::size_t>(member.slot)];
  candidate.failures += is_no_help;
  candidate.again_ms =
      monotonic_ms() + std::min(kMostGatherMs, kGatherAgainMs << std::min(candidate.failures, 10u));
  changed_.notify_all();
}

bool Swarm::fetch_from(Job& job, Member& member) {
  const auto opened = sources_.open(member.slot, true);
  if (!opened) return false;
  net::Connection& connection = *opened.value();
  Pipeline pipeline{site_, connection, instance_.settings.compress, Pipeline::From::member};
  pipeline.share_job(&turn_);
  std::unique_lock turn{turn_};
  member.connection = &connection;
  milliseconds pause = kLeastPause;
  while (!is_over_) {
    member.is_busy = true;
    turn.unlock();
    auto has = pipeline.fetch_have(job);
    turn.lock();
    if (has) take_note(job, member, has.take());
    begin(member);
    changed_.notify_all();
    turn.unlock();
    const Status fetched =
        has ? pipeline.fetch_each(
                  job, [&] { return next_of(job, member); },
                  [&](std::uint64_t block) { note_of_member(job, member, block); })
            : has.error();
    turn.lock();
    give_back(member);
    member.is_busy = false;
    changed_.notify_all();
    if (!fetched) {
      member.connection = nullptr;  // so that nobody cuts it while it goes
      if (!is_over_) log_info("peer {}: {}", member.slot, fetched.error().text());
      sources_.drop(member.slot, fetched.error(), false);
      return false;
    }
    if (!is_help(member)) return false;
    if (member.asked != 0) {
      member.had_ms = monotonic_ms();
      pause = kLeastPause;
      continue;
    }
    // Another may have its place.
    const bool fetches = !member.has.empty();
    if (monotonic_ms() - member.had_ms > (fetches ? kStuckMs : kGatherAgainMs)) return !fetches;
    pause = std::min(2 * pause, kMostPause);
    changed_.wait_for(turn, pause, [this] { return is_over_; });
  }
  return true;
}

void Swarm::take_note(const Job& job, Member& member, std::vector<std::uint8_t> has) {
  if (!has.empty() && has != member.has) member.had_ms = monotonic_ms();
  member.has = std::move(has);
  member.is_heard = true;
  member.is_whole = !member.has.empty();
  for (std::uint64_t block = 0; member.is_whole && block < job.blocks; ++block) {
    member.is_whole = has_bit(member.has, block);
  }
  member.turn_end_ms = monotonic_ms() + kTurnMs;
}

bool Swarm::is_help(Member& member) const {
  if (member.asked == 0) return true;
  // Between the end of its ticket and its record a member seems to have nothing.
  member.failures = member.came == member.asked ? 0 : member.failures + 1;
  return member.failures <= kMostFailures && !(member.came >= kChosen && drips(member));
}

bool Swarm::drips(const Link& link) const {
  return rate_of(link.came, link.begun_ms) * kSlow < source_rate_;
}

void Swarm::cut_slow() {
  if (source_rate_ == 0) return;  // all that is left is theirs, then: some of it is asked for
  const std::uint64_t patience_ms =
      std::max(kPatienceMs, kSlow * block_bytes_ * 1000 / source_rate_);
  const std::uint64_t now_ms = monotonic_ms();
  for (Member& member : members_) {
    if (member.out.empty() || member.connection == nullptr) continue;
    const bool is_mute = now_ms - member.last_ms > patience_ms;
    const bool is_slow = now_ms - member.begun_ms > patience_ms && drips(member);
    // Unless it waits for us, or for the disk.
    if ((is_mute || is_slow) && !member.connection->has_input()) cut(member);
  }
}

void Swarm::cut(Member& member) { ::shutdown(member.connection->fd(), SHUT_RDWR); }

std::optional<std::uint64_t> Swarm::next_of_source(Job& job) {
  if (is_done(job)) return std::nullopt;
  if (monotonic_ms() > gather_at_ms_) gather(job);
  if (source_.chosen.empty()) choose_for_source(job);
  if (!source_.chosen.empty()) idle_since_ms_ = 0;
  return take(source_);
}

void Swarm::choose_for_source(const Job& job) {
  source_.chosen = our_blocks(job);
  if (source_.chosen.empty()) source_.chosen = their_blocks(job, take_grant(job));
  reserve(source_);
}

std::size_t Swarm::take_grant(const Job& job) {
  const auto grow = [&](std::size_t& grant) {
    return std::exchange(grant, std::min<std::size_t>(2 * grant, job.blocks));
  };
  if (idle_since_ms_ != 0 && monotonic_ms() - idle_since_ms_ > kTurnMs) {
    const bool is_slow = 2 * rate_of(gained_, idle_since_ms_) < source_rate_ || source_rate_ == 0;
    begin_idle();
    if (is_slow) return grow(for_slow_);
    for_slow_ = kFewest;
  }
  if (!is_giving()) return grow(for_lull_);
  return monotonic_ms() - source_.last_ms > kKeepMs ? 1 : 0;
}

void Swarm::begin_idle() {
  idle_since_ms_ = monotonic_ms();
  gained_ = 0;
}

std::optional<std::uint64_t> Swarm::next_of(const Job& job, Member& member) {
  if (is_over_ || monotonic_ms() > member.turn_end_ms) return std::nullopt;
  if (member.chosen.empty()) {
    member.chosen = blocks_of(job, member);
    reserve(member);
  }
  return take(member);
}

void Swarm::reserve(const Link& link) {
  for (const std::uint64_t block : link.chosen) set_bit(asked_, block);
}

std::optional<std::uint64_t> Swarm::take(Link& link) {
  if (link.chosen.empty()) return std::nullopt;
  const std::uint64_t block = link.chosen.back();
  if (link.out.empty()) link.last_ms = monotonic_ms();
  link.chosen.pop_back();
  link.out.push_back(block);
  ++link.asked;
  return block;
}

void Swarm::begin(Link& link) {
  link.asked = 0;
  link.came = 0;
  link.begun_ms = monotonic_ms();
}

void Swarm::note_came(Link& link, std::uint64_t block) {
  --missing_;
  std::erase(link.out, block);
  ++link.came;
  link.last_ms = monotonic_ms();
}

void Swarm::note_of_source(std::uint64_t block) {
  note_came(source_, block);
  const bool is_sure = source_.came >= kChosen;
  if (is_sure || source_rate_ == 0) source_rate_ = rate_of(source_.came, source_.begun_ms);
}

void Swarm::note_of_member(Job& job, Member& member, std::uint64_t block) {
  note_came(member, block);
  job.is_shared = true;
  gave_ms_ = member.last_ms;
  for_lull_ = kFewest;
  ++gained_;
  if (missing_ == 0) changed_.notify_all();
}

void Swarm::give_back(Link& link) {
  for (Blocks* blocks : {&link.chosen, &link.out}) {
    for (const std::uint64_t block : *blocks) clear_bit(asked_, block);
    blocks->clear();
  }
}

std::uint64_t Swarm::rate_of(std::uint64_t blocks, std::uint64_t since_ms) const {
  return blocks * block_bytes_ * 1000 / std::max<std::uint64_t>(monotonic_ms() - since_ms, 1);
}

bool Swarm::is_giving() const {
  const auto is_out = [](const Member& member) { return !member.out.empty(); };
  return monotonic_ms() - gave_ms_ < kLullMs || std::ranges::any_of(members_, is_out);
}

}  // namespace lefting::downloader
