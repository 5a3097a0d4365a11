#include "common/sync/plan.h"

#include <doctest/doctest.h>

#include "common/base/ids.h"
#include "common/sync/version.h"
#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;
const auto kNoFormer = [] { return std::vector<Entry>{}; };

Record recorded(Entry entry) {
  Record record;
  record.entry = std::move(entry);
  record.sequence = 3;
  return record;
}

Plan plan(const Entry& wanted, const Here& here,
          const std::function<std::vector<Entry>()>& former = kNoFormer) {
  return plan_ticket(wanted, former, here, device('Z'), kNow);
}

/// A file of that content that stands there and is not recorded so.
Here unrecorded(const Record* record, const Entry& like) {
  return {.record = record,
          .standing = Standing::other,
          .size = like.size,
          .mtime_ns = like.mtime_ns,
          .mode = like.mode,
          .hashes = {}};
}

const Entry kOld = test::entry("f", 1, {{device('A'), 1}});
const Entry kNew = test::entry("f", 2, {{device('A'), 1}, {device('B'), 7}});
const Entry kGone = test::tombstone("f", {{device('A'), 1}, {device('B'), 9}});

}  // namespace

TEST_CASE("plan_ticket: what is known already ends the ticket, whatever stands there") {
  const Record record = recorded(kNew);
  for (const Standing standing :
       {Standing::nothing, Standing::recorded, Standing::folder, Standing::unknown}) {
    const Here here{.record = &record, .standing = standing, .hashes = {}};
    CHECK(plan(kNew, here).step == Step::drop);
    CHECK(plan(kOld, here).step == Step::drop);
  }
}

TEST_CASE("plan_ticket: new content is fetched where nothing or the recorded file stands") {
  const Record record = recorded(kOld);
  CHECK(plan(kNew, {.record = nullptr, .hashes = {}}).step == Step::fetch);
  CHECK(plan(kNew, {.record = nullptr, .standing = Standing::folder, .hashes = {}}).step ==
        Step::fetch);
  const Plan over = plan(kNew, {.record = &record, .standing = Standing::recorded, .hashes = {}});
  CHECK(over.step == Step::fetch);
  CHECK_FALSE(over.keeps);
  CHECK(over.result == kNew);
}

TEST_CASE("plan_ticket: in a conflict the recorded file is kept, and only where it stands") {
  const Record record = recorded(test::entry("f", 3, {{device('C'), 5}}));
  CHECK(plan(kNew, {.record = &record, .standing = Standing::recorded, .hashes = {}}).keeps);
  CHECK_FALSE(plan(kNew, {.record = &record, .standing = Standing::nothing, .hashes = {}}).keeps);
  CHECK(plan(kGone, {.record = &record, .standing = Standing::recorded, .hashes = {}}).step ==
        Step::set_aside);
}

TEST_CASE("plan_ticket: a deletion removes the recorded file and no other") {
  const Record record = recorded(kOld);
  const auto step = [&](Standing standing) {
    return plan(kGone, {.record = &record, .standing = standing, .hashes = {}}).step;
  };
  CHECK(step(Standing::recorded) == Step::remove);
  CHECK(step(Standing::nothing) == Step::record);
  CHECK(step(Standing::folder) == Step::record);
  CHECK(step(Standing::other) == Step::wait);
  CHECK(step(Standing::unknown) == Step::wait);
}

TEST_CASE("plan_ticket: with a hash of another kind it may be what is here") {
  const Record record = recorded(kOld);
  Entry wanted = kNew;
  wanted.hash = ContentHash{{9}, HashKind::sha256};
  wanted.size = kOld.size;
  const ContentHashes other{ContentHash{{8}, HashKind::sha256}, kOld.hash};
  const ContentHashes same{wanted.hash, kOld.hash};
  SUBCASE("a later version") {}
  SUBCASE("a conflict that it loses") { wanted.version = {{device('B'), 7}}; }
  Here here{.record = &record, .standing = Standing::recorded, .hashes = {}};
  CHECK(plan(wanted, here).step == Step::hash);
  here.hashes = other;
  CHECK(plan(wanted, here).step == Step::fetch);
  here.hashes = same;
  const Plan merged = plan(wanted, here);
  CHECK(merged.step == Step::restamp);
  CHECK(merged.result.hash == wanted.hash);
  CHECK(compare(merged.result.version, kOld.version) == Order::newer);

  here = unrecorded(&record, kOld);  // but for a second name
  CHECK(plan(wanted, here).step == Step::hash);
  here.hashes = same;
  CHECK(plan(wanted, here).step == Step::restamp);
  here.hashes = other;
  CHECK(plan(wanted, here).step == Step::fetch);
  wanted.size += 1;
  CHECK(plan(wanted, {.record = &record, .standing = Standing::recorded, .hashes = {}}).step ==
        Step::fetch);
}

TEST_CASE("plan_ticket: an unrecorded file stays, unless it is what was wanted") {
  const Record record = recorded(kOld);
  for (const Record* known : {static_cast<const Record*>(nullptr), &record}) {
    Here here = unrecorded(known, kNew);
    CHECK(plan(kNew, here).step == Step::hash);
    here.hashes = hashes_with(*kNew.hash);
    const Plan found = plan(kNew, here);
    CHECK(found.step == Step::restamp);
    CHECK(found.result == kNew);
    CHECK_FALSE(found.again);
    here.hashes = hashes_with(test::hash_of(9));
    CHECK(plan(kNew, here).step == Step::wait);
    here.size += 1;
    CHECK(plan(kNew, here).step == Step::wait);
  }
}

TEST_CASE("plan_ticket: a recorded file that only has a second name now is as recorded") {
  const Record record = recorded(kOld);
  Here here = unrecorded(&record, kOld);
  CHECK(plan(kNew, here).step == Step::hash);
  CHECK(plan(kOld, here).step == Step::drop);
  here.hashes = hashes_with(*kOld.hash);
  CHECK(plan(kNew, here).step == Step::fetch);
  CHECK(plan(kGone, here).step == Step::remove);
  here.mode = 0600;  // somebody's change
  CHECK(plan(kNew, here).step == Step::wait);
  here.mode = kOld.mode;
  here.hashes = hashes_with(test::hash_of(9));
  CHECK(plan(kNew, here).step == Step::wait);
}

TEST_CASE("plan_ticket: what an earlier ticket put there is recorded first, and nobody's edit") {
  const Record record = recorded(kOld);
  Entry newest = test::entry("f", 4, {{device('A'), 1}, {device('B'), 8}});
  const auto former = [] { return std::vector<Entry>{kNew}; };
  Here here = unrecorded(&record, kNew);
  here.hashes = hashes_with(*kNew.hash);
  const Plan first = plan(newest, here, former);
  CHECK(first.step == Step::restamp);
  CHECK(first.result == kNew);
  CHECK(first.again);
  const auto removed = [] { return std::vector<Entry>{kGone}; };
  newest.version[1].counter = 10;
  const Plan gone = plan(newest, {.record = &record, .hashes = {}}, removed);
  CHECK(gone.step == Step::record);
  CHECK(gone.result == kGone);
  CHECK(gone.again);
}

TEST_CASE("plan_ticket: a special file in the way is waited for") {
  CHECK(plan(kNew, {.record = nullptr, .standing = Standing::special, .hashes = {}}).step ==
        Step::wait);
}

TEST_CASE("plan_way: a recorded file gives way to a folder, and its deletion is a new version") {
  const Record record = recorded(kNew);
  const Finder finder{.writer = device('Z'), .now_ms = kNow};
  Here here{.record = &record, .standing = Standing::recorded, .hashes = {}};
  const Plan way = plan_way(here, false, finder);
  CHECK(way.step == Step::set_aside);
  CHECK(way.again);
  CHECK(way.result.deleted);
  CHECK(way.result.path == "f");
  CHECK(compare(way.result.version, kNew.version) == Order::newer);
  CHECK(plan_way(here, true, finder).step == Step::wait);
  here.standing = Standing::other;
  CHECK(plan_way(here, false, finder).step == Step::wait);
}
