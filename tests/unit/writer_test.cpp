#include "common/sync/writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "common/sync/decide.h"
#include "common/sync/version.h"
#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;
constexpr std::uint64_t kEarlier = kNow - 5000;  // when a file's version was made
constexpr std::uint64_t kEdit = kNow - 3000;     // when another device made one on top of it

std::int64_t nanoseconds(std::uint64_t ms) { return static_cast<std::int64_t>(ms) * 1'000'000; }

/// A file that an index without a past finds on its disk.
Entry adopted(char writer, int content, std::uint64_t mtime_ms) {
  Entry found = test::entry("f", content, {});
  found.mtime_ns = nanoseconds(mtime_ms);
  found.version = adopted_version(device(writer), found.mtime_ns, kNow);
  return found;
}

/// One path on some peers, and what each has kept beside it as the loser of a conflict.
class Wire {
 public:
  explicit Wire(std::vector<std::optional<Entry>> entries) : entries_{std::move(entries)} {
    for (const auto& one : entries_) {
      if (one && one->hash && !is_outdated(*one)) before_.insert(*one->hash);
    }
  }

  /// `to` hears what `from` has. False: that was no news.
  bool tell(std::size_t from, std::size_t to) {
    if (!entries_[from]) return false;
    std::optional<Entry>& ours = entries_[to];
    const Decision decision =
        decide(ours ? &*ours : nullptr, *entries_[from], device('Z'), kNow + 1);
    if (decision.verdict == Verdict::same || decision.verdict == Verdict::ours_newer) return false;
    if (decision.verdict == Verdict::lose && ours->hash) kept_.insert(*ours->hash);
    ours = decision.result;
    return true;
  }

  void settle(unsigned seed) {
    std::vector<std::pair<std::size_t, std::size_t>> ways;
    for (std::size_t a = 0; a < entries_.size(); ++a) {
      for (std::size_t b = 0; b < entries_.size(); ++b) {
        if (a != b) ways.emplace_back(a, b);
      }
    }
    std::mt19937 random{seed};
    for (bool news = true; news;) {
      news = false;
      std::shuffle(ways.begin(), ways.end(), random);
      for (const auto& [from, to] : ways) news |= tell(from, to);
    }
  }

  bool agrees() const {
    return std::all_of(entries_.begin(), entries_.end(),
                       [&](const auto& one) { return one == entries_.front(); });
  }
  /// Every content that was somewhere, and that nobody had changed on purpose, has its name, or was
  /// kept beside it.
  bool has_lost() const {
    std::set<ContentHash> now = kept_;
    if (entries_.front() && entries_.front()->hash) now.insert(*entries_.front()->hash);
    return !std::includes(now.begin(), now.end(), before_.begin(), before_.end());
  }
  const std::optional<Entry>& entry() const { return entries_.front(); }
  std::size_t kept() const { return kept_.size(); }

 private:
  bool is_outdated(const Entry& entry) const {
    // A content that is here twice is outdated where one of them is.
    return std::any_of(entries_.begin(), entries_.end(), [&](const auto& same) {
      if (!same || same->hash != entry.hash) return false;
      const Stamp made = stamp(same->version);
      return std::any_of(entries_.begin(), entries_.end(), [&](const auto& other) {
        return other && stamp(other->version) != made && covers(other->version, made);
      });
    });
  }

  std::vector<std::optional<Entry>> entries_;
  std::set<ContentHash> before_;
  std::set<ContentHash> kept_;
};

/// What a peer may have of a file that device A made: as it was, changed by either, merged with
/// another device's before, deleted, or never.
std::vector<std::optional<Entry>> old_entries() {
  const VersionVector made = {{device('A'), kEarlier}};
  const VersionVector edited = {{device('A'), kEarlier}, {device('B'), kEdit}};
  const VersionVector merged = {{device('A'), kEarlier - 9}, {device('C'), kEarlier}};
  return {test::entry("f", 1, made),    test::entry("f", 2, made),
          test::entry("f", 1, edited),  test::entry("f", 2, edited),
          test::entry("f", 1, merged),  test::entry("f", 2, merged),
          test::tombstone("f", edited), std::nullopt};
}

const std::vector<std::uint64_t> kTimes = {1, kEarlier - 100, kEarlier, kEdit, kEdit + 100, kNow};

}  // namespace

TEST_CASE(
    "successor_writer: of each device, index and occasion another, and never the device's own") {
  DeviceId one;
  one.bytes.fill(1);
  DeviceId other;
  other.bytes.fill(2);
  const std::set<ShortId> writers = {
      short_id(one),
      short_id(other),
      successor_writer(one, 1, "boot"),
      successor_writer(one, 2, "boot"),
      successor_writer(one, 1, "next boot"),
      successor_writer(other, 1, "boot"),
  };
  CHECK(writers.size() == 6);
  for (const ShortId writer : writers) CHECK(parse_short_id(to_text(writer)) == writer);
  CHECK(successor_writer(one, 1, "boot") == successor_writer(one, 1, "boot"));
}

TEST_CASE("adopted_version: as old as the file says, from 1 to now") {
  const auto counter = [](std::int64_t mtime_ns) {
    const VersionVector version = adopted_version(device('W'), mtime_ns, kNow);
    REQUIRE(version.size() == 1);
    CHECK(version[0].device == device('W'));
    return version[0].counter;
  };
  CHECK(counter(nanoseconds(kEarlier) + 999'999) == kEarlier);
  CHECK(counter(0) == 1);
  CHECK(counter(INT64_MIN) == 1);
  CHECK(counter(INT64_MAX) == kNow);
  CHECK(counter(nanoseconds(kNow) + 1'000'000) == kNow);
}

TEST_CASE("adoption: nothing a peer has is taken plainly, and nothing adopted by a peer") {
  for (const auto& theirs : old_entries()) {
    if (!theirs) continue;
    for (const std::uint64_t mtime_ms : kTimes) {
      for (const int content : {1, 2, 3}) {
        CAPTURE(mtime_ms);
        CAPTURE(content);
        const Entry ours = adopted('W', content, mtime_ms);
        const Verdict here = decide(&ours, *theirs, device('W'), kNow).verdict;
        const Verdict there = decide(&*theirs, ours, device('B'), kNow).verdict;
        if (theirs->hash == ours.hash) {
          CHECK(here == Verdict::merge);
          CHECK(there == Verdict::merge);
        } else {
          const bool wins = stamp(ours.version) > stamp(theirs->version);
          CHECK(here == (wins ? Verdict::ours_newer : Verdict::lose));
          CHECK(there == (wins ? Verdict::lose : Verdict::ours_newer));
        }
      }
    }
  }
}

TEST_CASE("adoption: a stale file does not win the name against a later edit or deletion") {
  const VersionVector edited = {{device('A'), kEarlier}, {device('B'), kEdit}};
  for (const Entry& later : {test::entry("f", 2, edited), test::tombstone("f", edited)}) {
    Wire wire{{adopted('W', 1, kEarlier - 100), later}};
    wire.settle(1);
    CHECK(wire.entry()->hash == later.hash);
    CHECK(wire.entry()->deleted == later.deleted);
    CHECK(wire.kept() == 1);
  }
}

TEST_CASE("adoption: one rebuilt peer and one old one agree, and no content is lost") {
  for (const auto& old : old_entries()) {
    for (const std::uint64_t mtime_ms : kTimes) {
      for (const int content : {1, 2, 3}) {
        const Entry found = adopted('W', content, mtime_ms);
        Wire wire{{found, old}};
        wire.settle(1);
        CHECK(wire.agrees());
        CHECK_FALSE(wire.has_lost());
        const bool alike = !old || old->hash == found.hash;
        CHECK(wire.kept() <= (alike ? 0u : 1u));
        if (alike) CHECK_FALSE(wire.entry()->deleted);
      }
    }
  }
}

TEST_CASE("adoption: what is missing on the rebuilt peer is fetched, never deleted") {
  for (const auto& old : old_entries()) {
    if (!old) continue;
    Wire wire{{std::nullopt, old}};
    wire.settle(1);
    CHECK(wire.agrees());
    CHECK(wire.entry() == old);
  }
}

TEST_CASE("adoption: of three peers one, two or all rebuilt, they agree and no content is lost") {
  const auto olds = old_entries();
  unsigned seed = 0;
  for (const std::uint64_t first_ms : kTimes) {
    for (const std::uint64_t second_ms : kTimes) {
      for (const int content : {1, 2, 3}) {
        const Entry one = adopted('W', content, first_ms);
        for (const auto& second : olds) {
          for (const auto& third : olds) {
            const bool can_be = !second || !third || second->version != third->version ||
                                (second->hash == third->hash && second->deleted == third->deleted);
            if (!can_be) continue;
            Wire one_rebuilt{{one, second, third}};
            one_rebuilt.settle(++seed);
            CHECK(one_rebuilt.agrees());
            CHECK_FALSE(one_rebuilt.has_lost());
          }
          for (const int other : {1, 2}) {
            for (const char third : {'A', 'V'}) {
              Wire two{{one, adopted('V', other, second_ms),
                        third == 'A' ? second : adopted('U', 3, first_ms)}};
              two.settle(++seed);
              CAPTURE(seed);
              CHECK(two.agrees());
              CHECK_FALSE(two.has_lost());
            }
          }
        }
      }
    }
  }
}

TEST_CASE("adoption: rebuilt a second time, it is as the first time") {
  for (const auto& old : old_entries()) {
    for (const std::uint64_t mtime_ms : kTimes) {
      Wire first{{adopted('W', 1, mtime_ms), old}};
      first.settle(1);
      REQUIRE(first.entry());
      const Entry merged = *first.entry();
      for (const int content : {1, 2, 3}) {
        Wire again{{adopted('X', content, mtime_ms), merged}};
        again.settle(2);
        CHECK(again.agrees());
        CHECK_FALSE(again.has_lost());
        CHECK(again.kept() == (merged.hash == test::hash_of(content) ? 0u : 1u));
      }
    }
  }
}
