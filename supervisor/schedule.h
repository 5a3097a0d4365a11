#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>

#include "common/base/entry.h"
#include "supervisor/backoff.h"

namespace lefting::supervisor {

/// A time that never comes, in ms.
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

/// The peers as the peer list has them now; bit S: slot S.
struct PeerMasks {
  std::uint64_t used = 0;
  std::uint64_t online = 0;
  std::uint64_t refused = 0;
};

/// When to say hello to whom. Does nothing itself; the time always comes as an argument, in ms.
///
/// 1. A slot has at most one hello at a time.
/// 2. A peer that is online is only called if somebody asked for it.
class HelloSchedule {
 public:
  explicit HelloSchedule(std::uint32_t seed) : random_{seed} {}

  /// Takes in what the peer list says: a new peer is due at once, one that went offline after 1 s,
  /// one that refuses us after 60 s.
  void observe(const PeerMasks& masks, std::uint64_t now_ms);
  /// Somebody asks for a hello to the slot at that time.
  void ask(int slot, std::uint64_t due_ms);
  /// A slot whose time has come; its hello counts as running from now on.
  std::optional<int> take_due(std::uint64_t now_ms);
  /// The slot's hello has ended: call observe() next.
  void ended(int slot, std::uint64_t now_ms);
  /// When the next slot is due; kNever if none will be.
  std::uint64_t next_due_ms() const;

 private:
  enum class Phase { unused, offline, online, refused };
  struct Slot {
    Phase phase = Phase::unused;
    bool running = false;
    std::uint64_t due_ms = kNever;
    Backoff backoff{kHelloBackoff};
  };
  static Phase phase_of(const PeerMasks& masks, int slot);
  void enter(Slot& slot, Phase phase, std::uint64_t now_ms);
  /// Takes up to a fifth off, so that two peers don't call each other in step for ever.
  std::uint64_t jitter(std::uint64_t wait_ms);

  std::minstd_rand random_;
  std::array<Slot, kMaxPeers> slots_{};
};

}  // namespace lefting::supervisor
