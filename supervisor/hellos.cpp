#include "supervisor/hellos.h"

#include <algorithm>
#include <bit>

#include "common/base/log.h"
#include "supervisor/group.h"

namespace lefting::supervisor {

namespace {

/// A first hello to a peer with a million files takes minutes; beyond this it hangs.
constexpr std::uint64_t kLongestHelloMs = 600000;
/// Each is a process with the store open: many unreachable peers must not fill the memory.
constexpr int kMostAtOnce = 16;

constexpr std::uint64_t bit(int slot) { return std::uint64_t{1} << slot; }

}  // namespace

HelloRunner::HelloRunner(const state::PeerList& peers, Spawn spawn, std::uint32_t seed)
    : peers_{peers}, spawn_{std::move(spawn)}, schedule_{seed} {}

PeerMasks HelloRunner::masks() const {
  return {peers_.used_mask(), peers_.online_mask(), peers_.refused_mask()};
}

void HelloRunner::begin(std::uint64_t now_ms) {
  begun_ = true;
  first_round_ = peers_.used_mask();
  schedule_.observe(masks(), now_ms);
  start_due(now_ms);
}

bool HelloRunner::first_round_done() const {
  return begun_ && (first_round_ & peers_.used_mask() & ~peers_.online_mask()) == 0;
}

void HelloRunner::watch(PollSet& polls) const {
  for (const Run& run : runs_) {
    if (run.child) run.child->watch(polls);
  }
}

void HelloRunner::handle(const PollSet& polls, std::uint64_t now_ms) {
  if (!begun_) return;
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    Run& run = runs_[static_cast<std::size_t>(slot)];
    if (!run.child) continue;
    static_cast<void>(run.child->take_ready(polls));
    run.child->kill_if_due(now_ms);
    if (now_ms >= run.kill_at_ms) {
      log_error("hello to peer {} takes more than {} s: killed", slot, kLongestHelloMs / 1000);
      run.kill_at_ms = kNever;
      run.child->kill();
    }
    const auto exit_code = run.child->try_reap(polls);
    if (!exit_code) continue;
    run.child.reset();
    --running_;
    ended(slot, *exit_code == 0, now_ms);
    if (*exit_code > 1) died(slot, *exit_code, now_ms);
  }
  schedule_.observe(masks(), now_ms);
  start_due(now_ms);
}

void HelloRunner::ended(int slot, bool said, std::uint64_t now_ms) {
  Run& run = runs_[static_cast<std::size_t>(slot)];
  run.outcome = {run.outcome.ended + 1, said};
  first_round_ &= ~bit(slot);
  schedule_.ended(slot, now_ms);
}

/// Its successor goes on with what it had begun, also where the peer is online by now.
void HelloRunner::died(int slot, int exit_code, std::uint64_t now_ms) {
  log_warning("hello to peer {} ended with {}", slot, exit_code);
  bereaved_ = true;
  schedule_.ask(slot, now_ms + runs_[static_cast<std::size_t>(slot)].deaths.take(now_ms));
}

void HelloRunner::start_due(std::uint64_t now_ms) {
  while (!leaving_ && running_ < kMostAtOnce) {
    const auto slot = schedule_.take_due(now_ms);
    if (!slot) return;
    auto child = spawn_(*slot);
    if (!child) {
      log_error("{}", child.error().text());
      ended(*slot, false, now_ms);
      continue;
    }
    Run& run = runs_[static_cast<std::size_t>(*slot)];
    run.child.emplace(child.take());
    run.kill_at_ms = now_ms + kLongestHelloMs;
    ++running_;
  }
}

std::uint64_t HelloRunner::next_due_ms() const {
  if (!begun_) return kNever;
  std::uint64_t next = leaving_ || running_ == kMostAtOnce ? kNever : schedule_.next_due_ms();
  for (const Run& run : runs_) {
    if (run.child) next = std::min({next, run.kill_at_ms, run.child->next_due_ms()});
  }
  return next;
}

std::uint64_t HelloRunner::ask(std::uint64_t slots, std::uint64_t now_ms) {
  const std::uint64_t known = slots & peers_.used_mask();
  schedule_.observe(masks(), now_ms);
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    if ((known & bit(slot)) != 0) schedule_.ask(slot, now_ms);
  }
  return known;
}

void HelloRunner::leave(std::uint64_t now_ms) {
  leaving_ = true;
  for (Run& run : runs_) {
    if (run.child) run.child->ask_to_leave(now_ms + kLeaveMs);
  }
}

}  // namespace lefting::supervisor
