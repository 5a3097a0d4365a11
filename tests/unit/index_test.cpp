#include "common/sync/index.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/sync/peer_facts.h"
#include "tests/unit/sync_fixture.h"

using namespace lefting;
using test::SyncFixture;

namespace {

/// Little room: no part of the segment gets more than its first memory.
struct TightFixture : SyncFixture {
  TightFixture() : SyncFixture{2u << 20} {}
};

/// Stores what is given, as a program does that dies right after the commit.
void only_store(SyncFixture& fixture, const std::vector<Entry>& entries) {
  std::vector<std::uint64_t> bases;
  for (const Entry& entry : entries) {
    const auto old = fixture.dictionary.find(entry.path);
    bases.push_back(old ? old->sequence : 0);
  }
  store::Transaction transaction{fixture.store};
  fixture.inflight.sequence.store(transaction.next_sequence());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    Record record;
    record.entry = entries[i];
    REQUIRE(transaction.put_record(record, bases[i]));
  }
  transaction.commit();
}

}  // namespace

TEST_CASE_FIXTURE(SyncFixture,
                  "index: a commit is in the store and in the segment, with one sequence") {
  CHECK(record(test::entry("a", 1, {{test::device('A'), 1}})) == 1);
  CHECK(record(test::entry("b", 2, {{test::device('A'), 2}})) == 2);
  CHECK(dictionary.find("a") == store.find("a"));
  CHECK(dictionary.find("b")->sequence == 2);
  CHECK(record(test::tombstone("a", {{test::device('A'), 3}})) == 3);
  CHECK(dictionary.find("a") == store.find("a"));
  CHECK(dictionary.totals().files == 1);
  CHECK(inflight.sequence.load() == 0);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: a change made from an old record is left out, and its ticket stays") {
  record(test::entry("a", 1, {}));
  Ticket ticket;
  ticket.wanted = test::entry("a", 5, {});
  ticket.sources = 1;
  index.write_tickets([&](store::Transaction& transaction) {
    transaction.add_ticket(ticket);
    return std::vector{ticket};
  });
  CHECK(inflight.ticket.load() == 0);
  std::vector<sync::Change> changes(2);
  changes[0].record.entry = test::entry("a", 2, {});
  changes[0].base = 99;
  changes[0].ticket = ticket.id;
  changes[1].record.entry = test::entry("b", 2, {});
  CHECK(index.commit(changes) == std::vector{false, true});
  CHECK(dictionary.find("a")->entry.size == 2);
  CHECK(tickets.find("a").has_value());
  CHECK(store.find_ticket("a").has_value());

  changes[0].base = 1;
  changes[1].base = changes[1].record.sequence;
  REQUIRE(index.commit(changes) == std::vector{true, true});
  CHECK_FALSE(tickets.find("a").has_value());
  CHECK_FALSE(store.find_ticket("a").has_value());
}

TEST_CASE_FIXTURE(SyncFixture, "index: a ticket that ends without a record ends in both") {
  const Ticket ticket = add_ticket(test::entry("a", 1, {}));
  std::vector<sync::Change> none;
  CHECK(index.commit(none, {{.path = "a", .id = ticket.id + 1}}).empty());
  CHECK(store.find_ticket("a").has_value());
  CHECK(tickets.find("a").has_value());
  CHECK(index.commit(none, {{.path = "a", .id = ticket.id}}).empty());
  CHECK_FALSE(store.find_ticket("a").has_value());
  CHECK_FALSE(tickets.find("a").has_value());
  CHECK(inflight.sequence.load() == 0);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: an unwanted ticket ends if it has no source, whatever the segment says") {
  const Ticket wanted = add_ticket(test::entry("a", 1, {}), 0b10);
  const Ticket unwanted = add_ticket(test::entry("b", 1, {}), 0);
  tickets.drop_source(1, Offers::all);  // the store is a source ahead
  std::vector<sync::Change> none;
  index.commit(none, {{.path = "a", .id = wanted.id, .unwanted = true},
                      {.path = "b", .id = unwanted.id, .unwanted = true}});
  CHECK(store.find_ticket("a").has_value());
  CHECK(tickets.find("a").has_value());
  CHECK_FALSE(store.find_ticket("b").has_value());
  CHECK_FALSE(tickets.find("b").has_value());
}

TEST_CASE_FIXTURE(SyncFixture, "index: an ignored ticket ends if all is recorded by those rules") {
  const Ticket ticket = add_ticket(test::entry("a", 1, {}));
  std::vector<sync::Change> none;
  const sync::TicketRef ignored{.path = "a", .id = ticket.id, .ignored_by = "rules"};
  index.commit(none, {ignored});
  CHECK(store.find_ticket("a").has_value());
  CHECK(tickets.find("a").has_value());
  {
    store::Transaction transaction{store};
    transaction.set_ignore_digest("rules");
    transaction.commit();
  }
  index.commit(none, {ignored});
  CHECK_FALSE(store.find_ticket("a").has_value());
  CHECK_FALSE(tickets.find("a").has_value());
}

// A downloader that died between the store and the segment leaves such a ticket.
TEST_CASE_FIXTURE(SyncFixture,
                  "index: an unwanted ticket that the store has ended already ends here too") {
  const Ticket unwanted = add_ticket(test::entry("b", 1, {}), 0);
  {
    store::Transaction transaction{store};
    REQUIRE(transaction.give_up_ticket("b", unwanted.id));
    transaction.commit();
  }
  std::vector<sync::Change> none;
  index.commit(none, {{.path = "b", .id = unwanted.id, .unwanted = true}});
  CHECK_FALSE(tickets.find("b").has_value());
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: replay applies what a predecessor had only stored, and nothing twice") {
  record(test::entry("a", 1, {}));
  load_all();
  CHECK_FALSE(index.replay());
  only_store(*this, {test::entry("b", 2, {})});
  const Ticket ticket = store_ticket(test::entry("t", 5, {}));
  inflight.ticket.store(ticket.id);
  CHECK_FALSE(dictionary.find("b").has_value());
  CHECK_FALSE(tickets.find("t").has_value());
  CHECK(index.replay());
  CHECK(dictionary.find("b") == store.find("b"));
  CHECK(tickets.find("t")->ticket == ticket);
  CHECK(dictionary.totals().files == 2);
  CHECK(inflight.sequence.load() == 0);
  CHECK(inflight.ticket.load() == 0);
  CHECK_FALSE(index.replay());
  CHECK(dictionary.totals().files == 2);
}

TEST_CASE_FIXTURE(SyncFixture, "index: replay applies deletions and what came back after one") {
  const VersionVector version = {{test::device('A'), 1}};
  for (const char* path : {"goes", "stays", "changes"}) record(test::entry(path, 1, version));
  record(test::tombstone("gone", version));
  record(test::tombstone("comes back", version));
  load_all();
  only_store(*this, {test::tombstone("goes", version), test::entry("comes back", 3, version),
                     test::entry("changes", 2, version), test::tombstone("never here", version),
                     test::entry("new", 4, version)});
  CHECK_FALSE(dictionary.find("goes")->entry.deleted);
  CHECK(index.replay());
  for (const char* path : {"goes", "stays", "changes", "gone", "comes back", "never here", "new"}) {
    CAPTURE(path);
    CHECK(dictionary.find(path).has_value());
    CHECK(dictionary.find(path) == store.find(path));
  }
  CHECK(dictionary.totals().files == 4);
  CHECK(dictionary.reloads() == kShards);
}

TEST_CASE_FIXTURE(
    SyncFixture,
    "index: an old word of inflight lets replay apply again what others have changed") {
  const VersionVector version = {{test::device('A'), 1}};
  load_all();
  record(test::entry("a", 1, version));
  record(test::entry("b", 1, version));
  record(test::tombstone("a", version));
  record(test::entry("b", 2, version));
  inflight.sequence.store(1);
  CHECK(index.replay());
  CHECK(dictionary.find("a")->entry.deleted);
  CHECK(dictionary.find("b")->entry == test::entry("b", 2, version));
  CHECK(dictionary.totals().files == 1);
}

TEST_CASE_FIXTURE(TightFixture,
                  "index: where the segment is full everything is written, and found") {
  constexpr int kFiles = 1500;
  const std::string tail(500, 'x');
  for (int i = 0; i < kFiles; ++i) {
    REQUIRE(record(test::entry(std::to_string(i) + tail, 1, {})) != 0);
  }
  CHECK(dictionary.totals().files < kFiles);
  for (int i = 0; i < kFiles; i += 3) {
    REQUIRE(record(test::tombstone(std::to_string(i) + tail, {})) != 0);
  }
  for (int i = 0; i < kFiles; ++i) {
    const auto found = dictionary.find(std::to_string(i) + tail);
    REQUIRE(found.has_value());
    REQUIRE(found == store.find(found->entry.path));
    REQUIRE(found->entry.deleted == (i % 3 == 0));
  }
  only_store(*this, {test::entry("replayed" + tail, 3, {})});
  CHECK(index.replay());
  CHECK(dictionary.find("replayed" + tail)->entry.size == 4);
}

TEST_CASE_FIXTURE(TightFixture, "index: where the segment is full all tickets end some time") {
  constexpr std::uint64_t kTickets = 1500;
  const std::string tail(500, 'x');
  index.write_tickets([&](store::Transaction& transaction) {
    std::vector<Ticket> added(kTickets);
    for (std::uint64_t i = 0; i < kTickets; ++i) {
      added[i].wanted = test::entry(std::to_string(i) + tail, 1, {});
      added[i].sources = 1;
      transaction.add_ticket(added[i]);
    }
    return added;
  });
  CHECK(tickets.partial_shards() > 0);
  CHECK(store.tickets_after(0, SIZE_MAX >> 1).size() == kTickets);
  std::size_t ended = 0;
  for (auto taken = tickets.checkout(100, ~0ull, 0); !taken.empty();
       taken = tickets.checkout(100, ~0ull, 0)) {
    std::vector<sync::Change> changes(taken.size());
    for (std::size_t i = 0; i < taken.size(); ++i) {
      changes[i].record.entry = taken[i].ticket.wanted;
      changes[i].ticket = taken[i].ticket.id;
    }
    for (const bool written : index.commit(changes)) ended += written;
  }
  CHECK(ended == kTickets);
  CHECK(store.tickets_after(0, SIZE_MAX >> 1).empty());
  CHECK(tickets.partial_shards() == 0);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "index: a tombstone that all peers have leaves a trace, and is found") {
  const VersionVector removed = {{test::device('A'), 7}, {test::device('B'), 5}};
  const int first = add_peer('a');
  const int second = add_peer('b');
  const auto tell = [&](int slot, std::uint64_t told) {
    sync::update_peer(store, peers, slot, [&](Peer& peer) { peer.told = told; });
  };
  record(test::entry("lives", 1, removed));
  record(test::entry("gone", 1, {{test::device('B'), 5}}));
  const std::uint64_t sequence = record(test::tombstone("gone", removed));
  const std::uint64_t later = record(test::tombstone("gone later", removed));
  CHECK(index.fade_tombstones() == 0);
  tell(first, later);
  tell(second, sequence - 1);
  CHECK(index.fade_tombstones() == 0);
  tell(second, sequence);
  SUBCASE("but not while a program may not have applied it") {
    state::role_inflight(segment, state::Role::scanner).sequence.store(sequence);
    CHECK(index.fade_tombstones() == 0);
    state::role_inflight(segment, state::Role::scanner).sequence.store(0);
  }
  CHECK(index.fade_tombstones() == 1);
  CHECK(store.count_deleted() == 1);
  for (const bool again : {false, true}) {
    if (again) dictionary.spoil();
    const auto found = dictionary.find("gone");
    REQUIRE(found);
    CHECK(found->is_trace());
    CHECK(found->entry.deleted);
    CHECK(found->entry.version == removed);
    CHECK_FALSE(dictionary.find("gone later")->is_trace());
    CHECK_FALSE(dictionary.find("never there"));
  }
  // What comes to the path is made on top of it, and takes its place.
  const auto trace = dictionary.find("gone");
  CHECK(record(test::entry("gone", 2, {{test::device('A'), 9}})) != 0);
  CHECK_FALSE(dictionary.find("gone")->is_trace());
  index.forget({"gone"}, sync::Index::Peers::show_anew);
  CHECK_FALSE(dictionary.find("gone"));
  // Told again it is a tombstone like any other.
  std::vector<sync::Change> revived = {{.record = *trace}};
  CHECK(index.commit(revived)[0]);
  CHECK(store.changes_after(later, 10, [](const Record&) {}) == 1);
}
