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

/// A role that dies is started again at once, then after 0.1 s and so on up to 30 s.
inline constexpr Backoff::Rule kRoleBackoff{0, 100, 30000};
/// A peer that can't be reached is called again after 1 s, 2 s and so on up to 60 s.
inline constexpr Backoff::Rule kHelloBackoff{1000, 2000, 60000};

}  // namespace lefting::supervisor
