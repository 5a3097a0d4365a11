#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace lefting {

using std::chrono::milliseconds;
using Deadline = std::chrono::steady_clock::time_point;

/// A clock that is so far ahead of others is broken.
inline constexpr std::uint64_t kFarAheadMs = std::uint64_t{366} * 24 * 3600 * 1000;

/// Milliseconds since 1970-01-01 UTC.
inline std::uint64_t wall_ms() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

/// Milliseconds of the monotonic clock, the same in every process of this machine.
inline std::uint64_t monotonic_ms() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

inline Deadline deadline_in(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }

/// What is left until `deadline`, never negative: a timeout for poll().
inline int poll_timeout(Deadline deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  return left.count() <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30));
}

}  // namespace lefting
