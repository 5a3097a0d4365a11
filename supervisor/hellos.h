#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "common/state/peers.h"
#include "supervisor/child.h"
#include "supervisor/schedule.h"

namespace lefting::supervisor {

/// The hello children: one for each peer whose time has come, so that a fault of the network or of
/// a peer's answer can't hurt the supervisor.
class HelloRunner {
 public:
  using Spawn = std::function<Result<Child>(int slot)>;

  /// `peers` must outlive the runner; only its lock-free functions are called.
  HelloRunner(const state::PeerList& peers, Spawn spawn, std::uint32_t seed);

  /// Says the first hello to every peer; until then nothing is done.
  void begin(std::uint64_t now_ms);
  /// Every peer that was known at begin() is online, or its first hello has ended.
  bool first_round_done() const;

  void watch(PollSet& polls) const;
  void handle(const PollSet& polls, std::uint64_t now_ms);
  std::uint64_t next_due_ms() const;

  /// A hello to each of these slots that has a peer. Returns those that have one.
  std::uint64_t ask(std::uint64_t slots, std::uint64_t now_ms);
  /// How many hellos to the slot have ended, and whether the last was said.
  struct Outcome {
    std::uint64_t ended = 0;
    bool said = false;
  };
  Outcome outcome(int slot) const { return runs_[static_cast<std::size_t>(slot)].outcome; }
  bool has_peer(int slot) const { return (peers_.used_mask() >> slot & 1) != 0; }

  /// True once after a hello has died unasked: what it would have told the others is untold.
  bool take_bereaved() { return std::exchange(bereaved_, false); }

  void leave(std::uint64_t now_ms);
  bool all_gone() const { return running_ == 0; }

 private:
  struct Run {
    std::optional<Child> child;
    std::uint64_t kill_at_ms = kNever;
    Outcome outcome;
    Allowance deaths = kDeathAllowance;
  };
  void start_due(std::uint64_t now_ms);
  void ended(int slot, bool said, std::uint64_t now_ms);
  void died(int slot, int exit_code, std::uint64_t now_ms);
  PeerMasks masks() const;

  const state::PeerList& peers_;
  Spawn spawn_;
  HelloSchedule schedule_;
  std::array<Run, kMaxPeers> runs_{};
  int running_ = 0;
  bool begun_ = false;
  bool bereaved_ = false;
  bool leaving_ = false;
  std::uint64_t first_round_ = 0;  ///< slots whose first hello has not ended
};

}  // namespace lefting::supervisor
