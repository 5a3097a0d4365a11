#pragma once

#include <algorithm>
#include <cstdint>

namespace lefting::supervisor {

/// How long to wait before the next try: `first_ms`, then `step_ms`, doubling up to `most_ms`.
class Backoff {
 public:
  struct Rule {
    std::uint64_t first_ms;
    std::uint64_t step_ms;
    std::uint64_t most_ms;
  };

  explicit constexpr Backoff(Rule rule) : rule_{rule} {}

  /// The wait before the next try; each call makes the one after it longer.
  constexpr std::uint64_t next_ms() {
    if (tries_ == 0) {
      tries_ = 1;
      return rule_.first_ms;
    }
    const std::uint64_t wait = std::min(rule_.step_ms * tries_, rule_.most_ms);
    if (wait < rule_.most_ms) tries_ *= 2;
    return wait;
  }
  /// All is well again: the next trouble begins with `first_ms`.
  constexpr void reset() { tries_ = 0; }

 private:
  Rule rule_;
  std::uint64_t tries_ = 0;  ///< 0: none yet; else the factor of the next wait, a power of two
};

/// What may happen so often at once, and once more each `refill_ms`.
class Allowance {
 public:
  constexpr Allowance(std::uint64_t burst, std::uint64_t refill_ms)
      : burst_ms_{burst * refill_ms}, refill_ms_{refill_ms} {}

  /// Takes one. Returns how long to wait for it, in ms.
  constexpr std::uint64_t take(std::uint64_t now_ms) {
    paid_ms_ = std::max(paid_ms_, now_ms) + refill_ms_;
    const std::uint64_t ahead_ms = paid_ms_ - now_ms;
    return ahead_ms > burst_ms_ ? ahead_ms - burst_ms_ : 0;
  }

 private:
  std::uint64_t burst_ms_;
  std::uint64_t refill_ms_;
  std::uint64_t paid_ms_ = 0;  ///< when all that was taken will have been refilled
};

/// A program that did its work until it died is started again at once, up to 20 times; then once
/// a second.
inline constexpr Allowance kDeathAllowance{20, 1000};
/// A role that dies before it is ready is started again at once, then after 0.1 s and so on up to
/// 30 s.
inline constexpr Backoff::Rule kRoleBackoff{0, 100, 30000};
/// A peer that can't be reached is called again after 1 s, 2 s and so on up to 60 s.
inline constexpr Backoff::Rule kHelloBackoff{1000, 2000, 60000};

}  // namespace lefting::supervisor
