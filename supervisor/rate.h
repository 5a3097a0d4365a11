#pragma once

#include <cstdint>
#include <deque>
#include <utility>

namespace lefting::supervisor {

/// How fast a number grows: its mean over the last 10 s, since what comes over a slow wire comes in
/// blocks of 1 MiB.
class Rate {
 public:
  void note(std::uint64_t now_ms, std::uint64_t value) {
    if (!seen_.empty() && value < seen_.back().second) seen_.clear();  // it began anew
    seen_.emplace_back(now_ms, value);
    while (seen_.size() > 2 && seen_.front().first + kSpanMs < now_ms) seen_.pop_front();
  }
  /// 0 until two values are known.
  std::uint64_t per_second() const {
    if (seen_.size() < 2) return 0;
    const std::uint64_t passed_ms = seen_.back().first - seen_.front().first;
    if (passed_ms == 0) return 0;
    const std::uint64_t grown = seen_.back().second - seen_.front().second;
    return static_cast<std::uint64_t>(static_cast<double>(grown) * 1000 /
                                      static_cast<double>(passed_ms));
  }

 private:
  static constexpr std::uint64_t kSpanMs = 10000;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> seen_;
};

}  // namespace lefting::supervisor
