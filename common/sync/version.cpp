#include "common/sync/version.h"

#include <algorithm>

namespace lefting::sync {

namespace {

/// Calls `visit(device, counter in a, counter in b)` for each device, 0 where one lacks it.
template <class Visit>
void for_each_device(const VersionVector& a, const VersionVector& b, Visit&& visit) {
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    if (right == b.end() || (left != a.end() && left->device < right->device)) {
      visit(left->device, left->counter, std::uint64_t{0});
      ++left;
    } else if (left == a.end() || right->device < left->device) {
      visit(right->device, std::uint64_t{0}, right->counter);
      ++right;
    } else {
      visit(left->device, left->counter, right->counter);
      ++left;
      ++right;
    }
  }
}

}  // namespace

Order compare(const VersionVector& a, const VersionVector& b) {
  bool a_has_more = false;
  bool b_has_more = false;
  for_each_device(a, b, [&](ShortId, std::uint64_t in_a, std::uint64_t in_b) {
    a_has_more |= in_a > in_b;
    b_has_more |= in_b > in_a;
  });
  if (a_has_more && b_has_more) return Order::concurrent;
  if (a_has_more) return Order::newer;
  return b_has_more ? Order::older : Order::equal;
}

VersionVector merge(const VersionVector& a, const VersionVector& b) {
  VersionVector merged;
  for_each_device(a, b, [&](ShortId device, std::uint64_t in_a, std::uint64_t in_b) {
    merged.push_back({device, std::max(in_a, in_b)});
  });
  return merged;
}

VersionVector bump(VersionVector version, ShortId device, std::uint64_t now_ms) {
  const std::uint64_t next = std::min(std::max(stamp(version).counter, now_ms) + 1, kMaxCounter);
  const auto at = std::lower_bound(
      version.begin(), version.end(), device,
      [](const VersionCounter& one, ShortId wanted) { return one.device < wanted; });
  if (at != version.end() && at->device == device) {
    at->counter = next;
  } else {
    version.insert(at, {device, next});
  }
  return version;
}

Stamp stamp(const VersionVector& version) {
  Stamp greatest;
  for (const VersionCounter& one : version) {
    greatest = std::max(greatest, Stamp{one.counter, one.device});
  }
  return greatest;
}

VersionCounter stamp_counter(const VersionVector& version) {
  const Stamp of = stamp(version);
  return {of.device, of.counter};
}

bool covers(const VersionVector& version, const Stamp& change) {
  return std::ranges::any_of(version, [&](const VersionCounter& one) {
    return one.device == change.device && one.counter >= change.counter;
  });
}

}  // namespace lefting::sync
