#include "common/store/store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Store;
using store::StoreError;
using store::Transaction;

namespace {

Record record_of(const std::string& path, int content) {
  Record record;
  record.entry =
      test::entry(path, content, {{test::device('A'), 5}, {test::device('B'), 1u << 30}});
  record.ctime_ns = 42 + content;
  record.inode = 7;
  return record;
}

std::uint64_t put(Store& store, Record record, std::uint64_t base) {
  Transaction transaction{store};
  const bool written = transaction.put_record(record, base);
  transaction.commit();
  return written ? record.sequence : 0;
}

void run_sql(const std::string& path, const char* sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
}

std::string refusal(const std::string& path) {
  try {
    Store store{path};
  } catch (const StoreError& error) {
    CHECK(error.permanent);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("store: a record comes back whole, from another connection too") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (const std::string& path :
       {std::string{"a"}, std::string{"d/\xff\xfe"}, std::string(4096, 'x')}) {
    Record record = record_of(path, 3);
    record.sequence = put(store, record, 0);
    CHECK(store.find(path) == record);
    CHECK(Store{folder / "s.db"}.find(path) == record);
  }
  CHECK_FALSE(store.find("b").has_value());
}

TEST_CASE("store: sequences rise by one, and a record whose base is old is not written") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  CHECK(put(store, record_of("a", 1), 0) == 1);
  CHECK(put(store, record_of("a", 2), 0) == 0);
  CHECK(put(store, record_of("a", 2), 1) == 2);
  CHECK(put(store, record_of("a", 3), 1) == 0);
  CHECK(put(store, record_of("b", 3), 9) == 3);  // nothing is there that could be newer
  CHECK(store.find("a")->entry.size == 3);
  CHECK(store.last_sequence() == 3);
}

TEST_CASE("store: an uncommitted transaction leaves nothing, not even its numbers") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  {
    Transaction transaction{store};
    Record record = record_of("a", 1);
    Ticket ticket{.id = 0, .wanted = record.entry, .sources = 1, .done = {}};
    transaction.put_record(record, 0);
    transaction.add_ticket(ticket);
  }
  CHECK_FALSE(store.find("a").has_value());
  CHECK(store.last_sequence() == 0);
  CHECK(store.tickets_from(0).empty());
}

TEST_CASE("store: changes_after gives pages in order of sequence") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (int i = 0; i < 10; ++i) put(store, record_of("f" + std::to_string(i), i), 0);
  put(store, record_of("f0", 20), 1);
  std::vector<std::uint64_t> seen;
  std::uint64_t at = 0;
  while (store.changes_after(at, 3, [&](const Record& r) { seen.push_back(at = r.sequence); }) >
         0) {
  }
  CHECK(seen == std::vector<std::uint64_t>{2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
}

TEST_CASE("store: paths_below finds what is in a folder, and no neighbour of like name") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (const char* path : {"d/a", "d/e/b", "d-x", "d0", "d.x/a", "dd/a"}) {
    put(store, record_of(path, 1), 0);
  }
  auto below = store.paths_below("d");
  std::sort(below.begin(), below.end());
  CHECK(below == std::vector<std::string>{"d/a", "d/e/b"});
}

TEST_CASE("store: a path has one ticket, a newer one gets a newer id, ids are never used twice") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 1, {}), .sources = 5, .done = {1, 2}};
  {
    Transaction transaction{store};
    CHECK(transaction.add_ticket(ticket));
    CHECK(ticket.id == 1);
    Ticket other = ticket;
    CHECK_FALSE(transaction.add_ticket(other));
    transaction.put_ticket(ticket);
    transaction.commit();
  }
  CHECK(ticket.id == 2);
  CHECK(store.find_ticket("a") == ticket);
  {
    Transaction transaction{store};
    transaction.set_ticket_done("a", 1, {9});  // the id before: no effect
    transaction.set_ticket_sources("a", 2, 7);
    transaction.set_ticket_done("a", 2, {3});
    transaction.remove_ticket("a", 1);
    transaction.commit();
  }
  CHECK(store.find_ticket("a")->sources == 7);
  CHECK(store.find_ticket("a")->done == std::vector<std::uint8_t>{3});
  {
    Transaction transaction{store};
    transaction.remove_ticket("a", 2);
    transaction.commit();
  }
  Transaction transaction{store};
  CHECK(transaction.next_ticket() == 3);
}

TEST_CASE("store: peers get the lowest free slot, and leave no source behind") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 1, {}), .sources = 3, .done = {}};
  Transaction transaction{store};
  for (int i = 0; i < 3; ++i) {
    Peer peer;
    peer.address = "h:" + std::to_string(i);
    transaction.put_peer(peer);
    CHECK(peer.slot == i);
  }
  transaction.add_ticket(ticket);
  transaction.remove_peer(1);
  Peer again;
  again.device = DeviceId{};
  transaction.put_peer(again);
  CHECK(again.slot == 1);
  transaction.commit();
  CHECK(store.peers().size() == 3);
  CHECK(store.peers()[1] == again);
  CHECK(store.find_ticket("a")->sources == 1);
}

TEST_CASE("store: the 65th peer is refused") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  for (int i = 0; i < kMaxPeers; ++i) {
    Peer peer;
    transaction.put_peer(peer);
  }
  Peer one_more;
  CHECK_THROWS_AS(transaction.put_peer(one_more), StoreError);
}

TEST_CASE("store: foreign, damaged and newer files are refused with what to do, and not touched") {
  const test::TempFolder folder;
  std::ofstream{folder / "text.db"} << std::string(5000, 'x');
  CHECK(refusal(folder / "text.db").find("damaged") != std::string::npos);

  run_sql(folder / "foreign.db", "CREATE TABLE mine(a)");
  CHECK(refusal(folder / "foreign.db").find("not a store of Lefting") != std::string::npos);

  { Store store{folder / "newer.db"}; }
  run_sql(folder / "newer.db", "PRAGMA user_version=99");
  CHECK(refusal(folder / "newer.db").find("newer Lefting") != std::string::npos);
}

TEST_CASE(
    "store: after a restart of the machine the sequence jumps, after one of ours it doesn't") {
  const test::TempFolder folder;
  const std::string path = folder / "s.db";
  {
    Store store{path};
    store.begin_instance();
    CHECK(put(store, record_of("a", 1), 0) == 1);
    store.begin_instance();
    CHECK(store.last_sequence() == 1);
  }
  run_sql(path, "UPDATE fact SET value='another boot' WHERE name='boot'");
  Store store{path};
  store.begin_instance();
  CHECK(store.last_sequence() > 1'000'000);
  const std::uint64_t next = store.last_sequence() + 1;
  CHECK(put(store, record_of("b", 1), 0) == next);
}
