#include "common/sync/version.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

/// Every vector over devices A, B, C with counters 0 to 2.
std::vector<VersionVector> small_vectors() {
  std::vector<VersionVector> out;
  for (std::uint64_t a = 0; a < 3; ++a) {
    for (std::uint64_t b = 0; b < 3; ++b) {
      for (std::uint64_t c = 0; c < 3; ++c) {
        VersionVector version;
        if (a != 0) version.push_back({device('A'), a});
        if (b != 0) version.push_back({device('B'), b});
        if (c != 0) version.push_back({device('C'), c});
        out.push_back(version);
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("compare: exactly one order holds, and it is the other way round from the other side") {
  for (const auto& a : small_vectors()) {
    for (const auto& b : small_vectors()) {
      const Order order = compare(a, b);
      const Order reversed = compare(b, a);
      CHECK((order == Order::equal) == (a == b));
      CHECK((order == Order::newer) == (reversed == Order::older));
      CHECK((order == Order::concurrent) == (reversed == Order::concurrent));
    }
  }
}

TEST_CASE("merge: it is the least vector that is at least as new as both") {
  for (const auto& a : small_vectors()) {
    for (const auto& b : small_vectors()) {
      const VersionVector merged = merge(a, b);
      CHECK(merged == merge(b, a));
      for (const auto& other : small_vectors()) {
        const auto covers = [&](const VersionVector& v) {
          const Order order = compare(other, v);
          return order == Order::newer || order == Order::equal;
        };
        CHECK((covers(a) && covers(b)) == covers(merged));
      }
    }
  }
}

TEST_CASE("bump: the new version is newer, its stamp is greater than every counter and the clock") {
  for (const auto& version : small_vectors()) {
    for (const std::uint64_t now : {std::uint64_t{0}, std::uint64_t{1000}}) {
      const VersionVector next = bump(version, device('B'), now);
      CHECK(compare(next, version) == Order::newer);
      CHECK(stamp(next).device == device('B'));
      CHECK(stamp(next).counter > stamp(version).counter);
      CHECK(stamp(next).counter > now);
    }
  }
  const VersionVector full = {{device('A'), (std::uint64_t{1} << 53) - 1}};
  CHECK(stamp(bump(full, device('A'), 0)).counter == (std::uint64_t{1} << 53) - 1);
}

TEST_CASE("stamp: it never goes against causality") {
  for (const auto& a : small_vectors()) {
    for (const auto& b : small_vectors()) {
      if (compare(a, b) == Order::newer) CHECK(stamp(a) >= stamp(b));
    }
  }
}
