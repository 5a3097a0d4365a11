#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/clock.h"

namespace lefting::downloader {

/// How often all peers may be asked for whole lists because a source has lost what it offered: a
/// peer that offers what it hasn't got must not keep the others busy. Any thread may call.
class Relists {
 public:
  /// True: now, and then not for ten minutes.
  bool take() {
    const std::uint64_t now = monotonic_ms();
    std::uint64_t next = next_ms_.load();
    return now >= next && next_ms_.compare_exchange_strong(next, now + kPauseMs);
  }

 private:
  static constexpr std::uint64_t kPauseMs = 600'000;
  std::atomic<std::uint64_t> next_ms_{0};
};

}  // namespace lefting::downloader
