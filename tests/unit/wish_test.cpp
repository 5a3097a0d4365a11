#include "common/sync/wish.h"

#include <doctest/doctest.h>

#include "tests/unit/records.h"

using namespace lefting;
using namespace lefting::sync;
using test::device;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;

Record recorded(Entry entry, std::uint64_t sequence) {
  Record record;
  record.entry = std::move(entry);
  record.sequence = sequence;
  return record;
}

Offer judge(const Record* ours, const Entry& theirs) {
  return judge_offer(ours, theirs, device('S'), kNow);
}

}  // namespace

TEST_CASE("judge_offer: what is unknown or newer is wished for, what is older is not") {
  const Record ours = recorded(test::entry("f", 1, {{device('A'), 5}}), 3);
  CHECK(judge(nullptr, ours.entry) == Offer::wish);
  CHECK(judge(&ours, ours.entry) == Offer::nothing);
  CHECK(judge(&ours, test::entry("f", 2, {{device('A'), 6}})) == Offer::wish);
  CHECK(judge(&ours, test::entry("f", 2, {{device('A'), 4}})) == Offer::nothing);
  CHECK(judge(&ours, test::tombstone("f", {{device('A'), 6}})) == Offer::wish);
}

TEST_CASE("judge_offer: the trace of a tombstone is told again to who has an older file") {
  const VersionVector removed = {{device('A'), 6}, {device('B'), 5}};
  const Record trace = recorded(test::tombstone("f", removed), 0);
  const Record whole = recorded(test::tombstone("f", removed), 3);
  const Entry older = test::entry("f", 1, {{device('B'), 5}});
  const Entry apart = test::entry("f", 1, {{device('C'), 4}});
  const Entry newer = test::entry("f", 1, {{device('C'), 9}});
  for (const Entry& theirs : {older, apart}) {
    CHECK(judge(&trace, theirs) == Offer::revive);
    CHECK(judge(&whole, theirs) == Offer::nothing);  // its peer hears of it anyway
  }
  CHECK(judge(&trace, newer) == Offer::wish);
  CHECK(judge(&trace, test::tombstone("f", removed)) == Offer::nothing);
  CHECK(judge(&trace, test::tombstone("f", {{device('B'), 4}})) == Offer::nothing);
  CHECK(judge(&trace, test::tombstone("f", {{device('B'), 9}})) == Offer::wish);
}

TEST_CASE("join_wish: what was announced without its hash gets it, and it is never taken away") {
  Ticket bare;
  bare.wanted = test::entry("f", 1, {{device('A'), 5}});
  bare.wanted.hash.reset();
  bare.sources = 1;
  Ticket told = bare;
  told.wanted.hash = ContentHash{{7}};
  Ticket wish = told;
  CHECK(join_wish(bare, wish) == Joined::adds);
  CHECK(wish.wanted.hash == told.wanted.hash);
  wish = bare;
  CHECK(join_wish(told, wish) == Joined::known);
  CHECK(wish.wanted.hash == told.wanted.hash);
  // Without versions the same size and time are no proof of the same content.
  bare.wanted.version.clear();
  told.wanted.version.clear();
  wish = told;
  CHECK(join_wish(bare, wish) == Joined::known);
  CHECK_FALSE(wish.wanted.hash.has_value());
}

TEST_CASE("join_wish: nothing is given up for what is only announced, and it for what is sure") {
  const Entry early = test::entry("f", 1, {{device('A'), 5}});
  Entry late = test::entry("f", 2, {{device('A'), 9}});
  const auto ticket = [](const Entry& wanted, bool announced) {
    Ticket made;
    made.wanted = wanted;
    made.sources = 1;
    made.announced = announced;
    return made;
  };
  Ticket wish = ticket(late, true);
  CHECK(join_wish(ticket(early, false), wish) == Joined::refused);
  wish = ticket(early, false);
  CHECK(join_wish(ticket(late, true), wish) == Joined::replaces);
  wish = ticket(late, false);
  CHECK(join_wish(ticket(early, true), wish) == Joined::replaces);
  wish = ticket(early, true);
  CHECK(join_wish(ticket(late, true), wish) == Joined::refused);
  // Told in the index too it is sure, and stays so.
  wish = ticket(late, false);
  CHECK(join_wish(ticket(late, true), wish) == Joined::adds);
  CHECK_FALSE(wish.announced);
  wish = ticket(late, true);
  CHECK(join_wish(ticket(late, false), wish) == Joined::known);
  CHECK_FALSE(wish.announced);
  // It changed before it was recorded, under the same version.
  wish = ticket(late, false);
  wish.wanted.mtime_ns += 1;
  CHECK(join_wish(ticket(late, true), wish) == Joined::replaces);
  wish.announced = true;
  CHECK(join_wish(ticket(late, false), wish) == Joined::refused);
}
