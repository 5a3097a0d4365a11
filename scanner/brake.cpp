#include "scanner/brake.h"

#include <algorithm>
#include <utility>

namespace lefting::scanner {

namespace {

/// So many within a second are nobody's mishap, and go after a moment: the first of many look so
/// too.
constexpr std::uint64_t kFew = 3;
constexpr std::chrono::milliseconds kMoment{20};
constexpr std::chrono::seconds kBurst{1};
/// Where they never cease: so long after the first they are taken for one burst all the same.
constexpr std::chrono::seconds kLongestBurst{10};
/// More than both is held.
constexpr std::uint64_t kMany = 100;
constexpr std::uint64_t kLargePart = 4;  // a quarter

}  // namespace

void Brake::add(std::string path, Deadline now) {
  if (!gone_.insert(std::move(path)).second) return;
  if (now >= burst_end_) burst_ = 0;
  if (gone_.size() == 1) first_ = now;
  ++burst_;
  burst_end_ = now + kBurst;
  due_ = burst_ <= kFew ? now + kMoment : std::min(burst_end_, first_ + kLongestBurst);
}

Deadline Brake::due() const { return gone_.empty() || holds_ ? Deadline::max() : due_; }

std::vector<std::string> Brake::take(std::uint64_t files, bool whole, Deadline now) {
  if (gone_.empty()) {
    holds_ = approved_ = false;
    return {};
  }
  if (!whole && (holds_ || now < due_)) return {};
  const bool is_much = gone_.size() > kMany && gone_.size() * kLargePart > files;
  holds_ = enabled_ && is_much && !approved_;
  if (holds_) return {};
  approved_ = false;
  return give_up();
}

std::vector<std::string> Brake::give_up() {
  holds_ = false;
  const auto gone = std::exchange(gone_, {});
  return {gone.begin(), gone.end()};
}

}  // namespace lefting::scanner
