#include "common/sync/copy.h"

#include <doctest/doctest.h>

#include "common/base/ids.h"
#include "common/sync/decide.h"
#include "common/sync/version.h"
#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

Record recorded(Entry entry) {
  Record record;
  record.entry = std::move(entry);
  record.sequence = 12;
  return record;
}

}  // namespace

TEST_CASE("plan_copy: every peer makes the same copy, whatever its version of the loser") {
  const Entry loser = test::entry("d/photo.jpg", 1, {{device('B'), 9}});
  const Entry merged = test::entry("d/photo.jpg", 1, {{device('A'), 3}, {device('B'), 9}});
  const std::string path = conflict_path(loser, false);
  CHECK(path.starts_with("d/photo.conflict-"));
  CHECK(conflict_path(merged, false) == path);
  const Copy copy = plan_copy(loser, path, nullptr);
  CHECK(copy.need == CopyNeed::make);
  CHECK(copy.base == 0);
  CHECK(copy.entry.path == path);
  CHECK(copy.entry.hash == loser.hash);
  CHECK(stamp(copy.entry.version).counter == 9);
  CHECK(copy.entry == plan_copy(merged, path, nullptr).entry);
}

TEST_CASE("plan_copy: what is there already, or was removed on purpose, is not made again") {
  const Entry loser = test::entry("f", 1, {{device('B'), 9}});
  const std::string path = conflict_path(loser, false);
  const Entry copy = plan_copy(loser, path, nullptr).entry;
  Record record = recorded(copy);
  CHECK(plan_copy(loser, path, &record).need == CopyNeed::none);
  record = recorded(test::tombstone(path, bump(copy.version, device('C'), 20)));
  CHECK(plan_copy(loser, path, &record).need == CopyNeed::none);
  record = recorded(test::entry(path, 1, {{device('C'), 30}}));  // the same content, made by a user
  CHECK(plan_copy(loser, path, &record).need == CopyNeed::none);
}

TEST_CASE("plan_copy: other content keeps its name, and an old tombstone gives it up") {
  const Entry loser = test::entry("f", 1, {{device('B'), 9}});
  const std::string path = conflict_path(loser, false);
  Record record = recorded(test::entry(path, 2, {{device('C'), 30}}));
  CHECK(plan_copy(loser, path, &record).need == CopyNeed::taken);
  record = recorded(test::tombstone(path, {{device('C'), 30}}));
  const Copy copy = plan_copy(loser, path, &record);
  CHECK(copy.need == CopyNeed::make);
  CHECK(copy.base == 12);
  CHECK(compare(copy.entry.version, record.entry.version) == Order::newer);
}

TEST_CASE("plan_copy: of two losers of one device neither copy stands on the other") {
  const Entry one = test::entry("f", 1, {{device('B'), 5}});
  const Entry other = test::entry("f", 2, {{device('B'), 9}});
  const std::string path = "f.conflict";
  const Entry first = plan_copy(one, path, nullptr).entry;
  const Entry second = plan_copy(other, path, nullptr).entry;
  CHECK(decide(&first, second, device('Z'), 10).verdict == Verdict::lose);
  CHECK(decide(&second, first, device('Z'), 10).verdict == Verdict::ours_newer);
}

TEST_CASE("conflict_name: stem, time in UTC, device, extension") {
  Entry loser = test::entry("d/photo.jpg", 0, {{device('B'), 9}, {device('A'), 3}});
  loser.mtime_ns = 1'700'000'000'000'000'000;
  CHECK(conflict_name(loser, false) == "photo.conflict-20231114-221320-BBBBBBBB.jpg");
  CHECK(conflict_name(loser, true) == "photo.conflict-20231114-221320-BBBBBBBB-000000000000.jpg");
  loser.path = ".profile";
  CHECK(conflict_name(loser, false) == ".profile.conflict-20231114-221320-BBBBBBBB");
  loser.path = "a.tar.gz";
  loser.mtime_ns = -1;
  CHECK(conflict_name(loser, false) == "a.tar.conflict-19691231-235959-BBBBBBBB.gz");
}

TEST_CASE("conflict_name: a name never has more than 255 bytes, and no cut character") {
  for (std::size_t length = 1; length <= 255; ++length) {
    std::string name;
    while (name.size() + 2 <= length) name += "\xc3\xa9";
    if (name.size() < length) name += "x";
    const Entry loser = test::entry(name, 0, {{device('B'), 9}});
    const std::string made = conflict_name(loser, true);
    CHECK(made.size() <= 255);
    CHECK(is_utf8(made));
  }
}

TEST_CASE("parse_conflict_path: takes apart what conflict_name makes, and nothing else") {
  for (const char* name : {"photo.jpg", "a", ".profile", "a.b.c", "x.conflict-1.txt"}) {
    for (const bool distinct : {false, true}) {
      const Entry loser = test::entry(name, 1, {{device('B'), 9}});
      const auto says = parse_conflict_path(conflict_name(loser, distinct));
      REQUIRE(says);
      CHECK(says->original == name);
      CHECK(says->device == device('B'));
    }
  }
  for (const char* name :
       {"", "photo.jpg", "a.conflict-", "a.conflict-20240101-000000", "a.conflict-20240101-000000-",
        "a.conflict-20240101-000000-ABCDEFG1.txt", "a.conflict-2024010x-000000-ABCDEFGH.txt",
        "a.conflict-20240101-000000-ABCDEFGHI.txt", "a.conflict-20240101-000000-ABCDEFGHtxt"}) {
    CAPTURE(name);
    CHECK_FALSE(parse_conflict_path(name));
  }
}
