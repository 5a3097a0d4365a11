#include <doctest/doctest.h>

#include "tests/unit/sync_fixture.h"

using namespace lefting;
using test::SyncFixture;

TEST_CASE_FIXTURE(SyncFixture,
                  "index: a commit is in the store and in the segment, with one sequence") {
  CHECK(record(test::entry("a", 1, {{test::device('A'), 1}})) == 1);
  CHECK(record(test::entry("b", 2, {{test::device('A'), 2}})) == 2);
  CHECK(dictionary.find("a") == store.find("a"));
  CHECK(dictionary.find("b")->sequence == 2);
  CHECK(inflight.sequence.load() == 0);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: a change made from an old record is left out, and its ticket stays") {
  record(test::entry("a", 1, {}));
  Ticket ticket{.id = 0, .wanted = test::entry("a", 5, {}), .sources = 1, .done = {}};
  REQUIRE(index
              .write_tickets([&](store::Transaction& transaction) {
                transaction.add_ticket(ticket);
                return std::vector{ticket};
              })
              .ok());
  std::vector<sync::Change> changes(2);
  changes[0].record.entry = test::entry("a", 2, {});
  changes[0].base = 99;
  changes[0].ticket = ticket.id;
  changes[1].record.entry = test::entry("b", 2, {});
  const auto written = index.commit(changes);
  REQUIRE(written.ok());
  CHECK(written.value() == std::vector{false, true});
  CHECK(dictionary.find("a")->entry.size == 2);
  CHECK(tickets.find("a").has_value());
  CHECK(store.find_ticket("a").has_value());

  changes[0].base = 1;
  changes[1].base = changes[1].record.sequence;
  REQUIRE(index.commit(changes).value() == std::vector{true, true});
  CHECK_FALSE(tickets.find("a").has_value());
  CHECK_FALSE(store.find_ticket("a").has_value());
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: replay applies what a predecessor had only stored, and nothing twice") {
  record(test::entry("a", 1, {}));
  load_all();
  Ticket ticket{.id = 0, .wanted = test::entry("t", 5, {}), .sources = 1, .done = {}};
  {
    // As a program does that dies right after the commit.
    store::Transaction transaction{store};
    inflight.sequence.store(transaction.next_sequence());
    inflight.ticket.store(transaction.next_ticket());
    Record only_stored;
    only_stored.entry = test::entry("b", 2, {});
    transaction.put_record(only_stored, 0);
    transaction.add_ticket(ticket);
    transaction.commit();
  }
  CHECK_FALSE(dictionary.find("b").has_value());
  CHECK_FALSE(tickets.find("t").has_value());
  index.replay();
  CHECK(dictionary.find("b") == store.find("b"));
  CHECK(tickets.find("t")->ticket == ticket);
  CHECK(dictionary.totals().files == 2);
  CHECK(inflight.sequence.load() == 0);
  CHECK(inflight.ticket.load() == 0);
  index.replay();
  CHECK(dictionary.totals().files == 2);
}
