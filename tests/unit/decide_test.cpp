#include "common/sync/decide.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "common/base/ids.h"
#include "common/sync/version.h"
#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;

/// One entry for each small vector. What a version holds was fixed by its last edit, and that is
/// what its stamp names; so the stamp tells content or tombstone, and a merge keeps the winner's.
std::vector<Entry> small_entries() {
  std::vector<Entry> out;
  for (std::uint64_t a = 0; a < 3; ++a) {
    for (std::uint64_t b = 0; b < 3; ++b) {
      for (std::uint64_t c = 0; c < 3; ++c) {
        VersionVector version;
        if (a != 0) version.push_back({device('A'), a});
        if (b != 0) version.push_back({device('B'), b});
        if (c != 0) version.push_back({device('C'), c});
        if (version.empty()) continue;
        const Stamp edit = stamp(version);
        const int content = static_cast<int>(edit.counter * 3 + edit.device.packed % 3) % 4;
        out.push_back(content == 3 ? test::tombstone("f", version)
                                   : test::entry("f", content, version));
      }
    }
  }
  return out;
}

/// What a peer that has `ours` holds under the name after it heard of `theirs`.
Entry after(const Entry& ours, const Entry& theirs) {
  const Decision decision = decide(&ours, theirs, device('Z'), kNow);
  const bool kept = decision.verdict == Verdict::same || decision.verdict == Verdict::ours_newer;
  return kept ? ours : decision.result;
}

/// Lets peers hear of each other, each of the next ones in turn, until nothing changes any more.
template <std::size_t Peers>
std::array<Entry, Peers> at_rest(std::array<Entry, Peers> peers) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < Peers; ++i) {
      for (std::size_t step = 1; step < Peers; ++step) {
        const Entry next = after(peers[i], peers[(i + step) % Peers]);
        changed |= next != peers[i];
        peers[i] = next;
      }
    }
  }
  return peers;
}

}  // namespace

TEST_CASE("decide: two peers that hear of each other end with the same entry") {
  for (const Entry& a : small_entries()) {
    for (const Entry& b : small_entries()) {
      if (a.version == b.version) continue;  // one version is one content
      const auto [one, other] = at_rest<2>({a, b});
      CHECK(one == other);
      CHECK(one == at_rest<2>({b, a})[0]);
    }
  }
}

TEST_CASE("decide: the order in which peers hear of others makes no difference") {
  for (const Entry& a : small_entries()) {
    for (const Entry& b : small_entries()) {
      for (const Entry& c : small_entries()) {
        if (a.version == b.version || b.version == c.version || a.version == c.version) continue;
        const auto [x, y, z] = at_rest<3>({a, b, c});
        CHECK(x == y);
        CHECK(y == z);
        CHECK(x == at_rest<3>({c, b, a})[0]);
      }
    }
  }
}

TEST_CASE("decide: what a peer holds is never taken over unkept by what was made without it") {
  for (const Entry& ours : small_entries()) {
    for (const Entry& theirs : small_entries()) {
      if (covers(theirs.version, stamp(ours.version))) continue;
      // Their side hears of ours first, then our side of theirs.
      const Verdict here = decide(&ours, after(theirs, ours), device('Z'), kNow).verdict;
      CHECK(here != Verdict::take);
    }
  }
}

TEST_CASE("decide: of two in conflict exactly one loses") {
  for (const Entry& a : small_entries()) {
    for (const Entry& b : small_entries()) {
      const Verdict here = decide(&a, b, device('Z'), kNow).verdict;
      const Verdict there = decide(&b, a, device('Z'), kNow).verdict;
      const bool conflict =
          !covers(a.version, stamp(b.version)) && !covers(b.version, stamp(a.version));
      if (conflict && here != Verdict::merge) {
        CHECK((here == Verdict::lose) != (there == Verdict::lose));
      } else {
        CHECK(here != Verdict::lose);
      }
      CHECK((here == Verdict::same) == (there == Verdict::same));
      CHECK((here == Verdict::merge) <= (there == Verdict::merge || there == Verdict::ours_newer));
    }
  }
}

TEST_CASE("decide: an edit on top of the winner is no conflict for who has merged the loser") {
  const Entry winner = test::entry("f", 1, {{device('B'), 7}});
  const Entry loser = test::entry("f", 2, {{device('A'), 5}});
  const Entry merged = after(loser, winner);
  REQUIRE(merged.version == VersionVector{{device('A'), 5}, {device('B'), 7}});
  // B has not heard of the merge when it edits what it has.
  const Entry edit = test::entry("f", 3, {{device('B'), 9}});
  const Decision decision = decide(&merged, edit, device('Z'), kNow);
  CHECK(decision.verdict == Verdict::take);
  CHECK(decision.result.version == VersionVector{{device('A'), 5}, {device('B'), 9}});
  CHECK(decide(&edit, merged, device('Z'), kNow).verdict == Verdict::ours_newer);
}

TEST_CASE("decide: of two contents under one stamp both are kept") {
  const Entry one = test::entry("f", 1, {{device('A'), 5}});
  const Entry other = test::entry("f", 2, {{device('A'), 5}, {device('B'), 1}});
  CHECK(decide(&one, other, device('Z'), kNow).verdict == Verdict::lose);
  CHECK(decide(&other, one, device('Z'), kNow).verdict == Verdict::ours_newer);
}

TEST_CASE("decide: an unknown path is taken, a newer version is taken, an older one is not") {
  const Entry old = test::entry("f", 0, {{device('A'), 1}});
  const Entry next = test::entry("f", 1, {{device('A'), 2}});
  CHECK(decide(nullptr, old, device('Z'), kNow).verdict == Verdict::take);
  CHECK(decide(nullptr, old, device('Z'), kNow).result == old);
  CHECK(decide(&old, next, device('Z'), kNow).verdict == Verdict::take);
  CHECK(decide(&next, old, device('Z'), kNow).verdict == Verdict::ours_newer);
}

TEST_CASE("decide: a newer version of the same content brings only its metadata") {
  const Entry old = test::entry("f", 0, {{device('A'), 1}});
  Entry touched = test::entry("f", 0, {{device('A'), 2}});
  touched.mode = 0755;
  const Decision decision = decide(&old, touched, device('Z'), kNow);
  CHECK(decision.verdict == Verdict::merge);
  CHECK(decision.result == touched);
}

TEST_CASE("decide: without a version the later mtime wins, and the taker makes the version") {
  const Entry ours = test::entry("f", 0, {{device('A'), 1}});
  Entry theirs = test::entry("f", 1, {});
  Decision decision = decide(&ours, theirs, device('Z'), kNow);
  CHECK(decision.verdict == Verdict::take);
  CHECK(compare(decision.result.version, ours.version) == Order::newer);
  CHECK(stamp(decision.result.version).device == device('Z'));
  CHECK(decide(nullptr, theirs, device('Z'), kNow).result.version.size() == 1);

  theirs.mtime_ns = ours.mtime_ns - 1;
  CHECK(decide(&ours, theirs, device('Z'), kNow).verdict == Verdict::ours_newer);

  theirs.mtime_ns = ours.mtime_ns;  // and it is larger
  CHECK(decide(&ours, theirs, device('Z'), kNow).verdict == Verdict::lose);
  theirs.size = ours.size;
  CHECK(decide(&ours, theirs, device('Z'), kNow).verdict == Verdict::same);
  theirs.size = 0;
  theirs.hash.reset();
  CHECK(decide(&ours, theirs, device('Z'), kNow).verdict == Verdict::ours_newer);
}

TEST_CASE("decide: a deletion of what was never here is remembered only if it has a version") {
  CHECK(decide(nullptr, test::tombstone("f", {{device('A'), 3}}), device('Z'), kNow).verdict ==
        Verdict::take);
  CHECK(decide(nullptr, test::tombstone("f", {}), device('Z'), kNow).verdict == Verdict::same);
}

TEST_CASE("supersedes: of two different wishes exactly one stands for both") {
  for (const Entry& a : small_entries()) {
    for (const Entry& b : small_entries()) {
      if (stamp(a.version) == stamp(b.version)) continue;  // the same content
      CHECK(supersedes(a, b) != supersedes(b, a));
    }
  }
}

TEST_CASE("has_lost: a source that knows nothing of what it offered has lost it") {
  const Entry wanted = test::entry("f", 1, {{device('B'), 7}});
  CHECK(has_lost(wanted, std::nullopt));
  CHECK(has_lost(wanted, test::entry("f", 2, {{device('B'), 5}})));
  CHECK(has_lost(wanted, test::entry("f", 2, {{device('C'), 9}})));
  // It is outdated: the source's news will say so.
  CHECK_FALSE(has_lost(wanted, test::entry("f", 2, {{device('B'), 7}, {device('C'), 9}})));
  CHECK_FALSE(has_lost(wanted, wanted));
  CHECK_FALSE(has_lost(wanted, test::entry("f", 2, {})));  // changed there, and not recorded yet
}
