#include <doctest/doctest.h>
#include <sqlite3.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "common/base/shard.h"
#include "common/store/rows.h"
#include "common/store/schema.h"
#include "common/store/sqlite.h"
#include "common/store/store.h"
#include "tests/unit/old_store.h"
#include "tests/unit/records.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Store;
using store::StoreError;
using store::Transaction;
using test::record_of;
using test::run_sql;

namespace {

std::string refusal(const std::string& path) {
  try {
    Store store{path};
  } catch (const StoreError& error) {
    CHECK(error.permanent);
    return error.what();
  }
  return "";
}

int number_in(const std::string& path, const char* sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  int number = 0;
  {
    store::Statement statement{raw, sql};
    if (statement.step()) number = static_cast<int>(statement.number(0));
  }
  sqlite3_close(raw);
  return number;
}

/// What a store of version 1 held.
struct OldStore {
  std::vector<Record> records;
  std::vector<Ticket> tickets;
  std::vector<Peer> peers;
};

OldStore sample_of_old_store() {
  OldStore old;
  for (int i = 0; i < 200; ++i) {
    Record record = record_of("d/f" + std::to_string(i), i);
    record.entry.hash->kind = HashKind::sha256;  // there was no other
    if (i % 4 == 0) record.entry = test::tombstone(record.entry.path, record.entry.version);
    record.sequence = static_cast<std::uint64_t>(i) + 1;
    old.records.push_back(record);
  }
  std::vector<std::string> paths = {"d/\xff\xfe", std::string(4096, 'x'), "'quoted'"};
  for (int i = 0; i < 100; ++i) paths.push_back("t" + std::to_string(i));
  for (const std::string& path : paths) {
    Ticket ticket;
    ticket.id = 2 * old.tickets.size() + 5;
    ticket.wanted =
        test::entry(path, static_cast<int>(old.tickets.size()), {{test::device('A'), ticket.id}});
    ticket.wanted.hash->kind = HashKind::sha256;
    if (ticket.id % 3 == 0) ticket.wanted = test::tombstone(path, ticket.wanted.version);
    ticket.sources = std::uint64_t{1} << old.tickets.size() % 64;
    if (ticket.id % 5 == 0) ticket.done = {1, 0, 255};
    old.tickets.push_back(ticket);
  }
  for (int slot = 0; slot < 3; ++slot) {
    Peer peer;
    peer.slot = slot;
    peer.name = "n";
    peer.address = "h:" + std::to_string(slot);
    if (slot != 0) peer.device = DeviceId{{static_cast<std::uint8_t>(slot)}};
    peer.seen = 7;
    peer.most_seen = 7;
    old.peers.push_back(peer);
  }
  return old;
}

void insert_old_ticket(sqlite3* raw, const Ticket& ticket) {
  store::Statement insert{raw, "INSERT INTO ticket VALUES(?,?,?,?,?,?,?,?,?,?)"};
  const std::string version = store::encode_version(ticket.wanted.version);
  insert.bind(1, ticket.id).bind_blob(2, ticket.wanted.path);
  store::bind_entry(insert, 3, ticket.wanted, version);
  insert.bind(9, ticket.sources).bind_blob(10, ticket.done);
  insert.run();
}

void insert_old_record(sqlite3* raw, const Record& record) {
  store::Statement insert{raw, "INSERT INTO file VALUES(?,?,?,?,?,?,?,?,?,?,?)"};
  const std::string version = store::encode_version(record.entry.version);
  insert.bind(1, std::uint64_t{shard_of(record.entry.path)}).bind_blob(2, record.entry.path);
  store::bind_entry(insert, 3, record.entry, version);
  insert.bind(9, record.sequence).bind(10, record.ctime_ns).bind(11, record.inode);
  insert.run();
}

void insert_old_peer(sqlite3* raw, const Peer& peer) {
  store::Statement insert{raw, "INSERT INTO peer VALUES(?,?,?,?,0,0,0,?,0)"};
  insert.bind(1, static_cast<std::uint64_t>(peer.slot));
  if (peer.device) insert.bind_blob(2, peer.device->bytes);
  insert.bind_text(3, peer.name).bind_text(4, peer.address).bind(5, peer.seen);
  insert.run();
}

OldStore make_old_store(const std::string& path) {
  OldStore old = sample_of_old_store();
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  store::execute(raw, "PRAGMA journal_mode=WAL; BEGIN IMMEDIATE");
  store::execute(raw, test::kOldStore);
  for (const Record& record : old.records) insert_old_record(raw, record);
  for (const Ticket& ticket : old.tickets) insert_old_ticket(raw, ticket);
  for (const Peer& peer : old.peers) insert_old_peer(raw, peer);
  store::execute(raw, "UPDATE counter SET value=200 WHERE name='sequence'");
  store::execute(raw, ("UPDATE counter SET value=" + std::to_string(old.tickets.back().id) +
                       " WHERE name='ticket'")
                          .c_str());
  store::execute(raw, "COMMIT");
  REQUIRE(sqlite3_close(raw) == SQLITE_OK);
  return old;
}

/// All that it held is there, and in its shard.
void check_holds(Store& store, const OldStore& old) {
  CHECK(store.tickets_after(0, SIZE_MAX >> 1) == old.tickets);
  CHECK(store.peers() == old.peers);
  CHECK(store.last_sequence() == old.records.size());
  CHECK(store.count_deleted() == 50);
  for (const Record& record : old.records) REQUIRE(store.find(record.entry.path) == record);
  for (const Ticket& ticket : old.tickets) {
    REQUIRE(store.find_ticket(ticket.wanted.path) == ticket);
    bool found = false;
    store.for_each_ticket_in_shard(shard_of(ticket.wanted.path),
                                   [&](const Ticket& one) { found |= one.id == ticket.id; });
    REQUIRE(found);
  }
}

/// The statements that made a store's tables and indexes.
std::vector<std::string> schema_of(const std::string& path) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  std::vector<std::string> all;
  {
    store::Statement statement{raw, "SELECT sql FROM sqlite_master ORDER BY type, name"};
    while (statement.step()) all.emplace_back(statement.blob(0));
  }
  sqlite3_close(raw);
  return all;
}

std::vector<std::string> schema_of_new_store() {
  const test::TempFolder folder;
  { Store store{folder / "s.db"}; }
  return schema_of(folder / "s.db");
}

int steps_left = 0;

int stop_when_out_of_steps(void*) { return --steps_left < 0 ? 1 : 0; }

int limit_steps(sqlite3* raw, const char**, const sqlite3_api_routines*) {
  sqlite3_progress_handler(raw, 1, stop_when_out_of_steps, nullptr);
  return SQLITE_OK;
}

/// Opens a store in at most so many steps of SQLite's machine. False: they were too few.
bool opens_within(const std::string& path, int steps) {
  const auto extension = reinterpret_cast<void (*)()>(limit_steps);
  steps_left = steps;
  REQUIRE(sqlite3_auto_extension(extension) == SQLITE_OK);
  bool opened = true;
  try {
    Store store{path};
  } catch (const StoreError&) {
    opened = false;
  }
  sqlite3_cancel_auto_extension(extension);
  return opened;
}

}  // namespace

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

TEST_CASE("store: one of version 1 is brought up to date when it is opened, and lacks nothing") {
  const test::TempFolder folder;
  const std::string path = folder / "s.db";
  const OldStore old = make_old_store(path);
  for (int opening = 0; opening < 2; ++opening) {
    CAPTURE(opening);
    Store store{path};
    CHECK(number_in(path, "PRAGMA user_version") == store::kSchemaVersion);
    CHECK(number_in(path, "SELECT count(*) FROM sqlite_master WHERE name='ticket1'") == 0);
    check_holds(store, old);
  }
  CHECK(schema_of(path) == schema_of_new_store());
}

TEST_CASE("store: after it was brought up to date it is written as a new one") {
  const test::TempFolder folder;
  const OldStore old = make_old_store(folder / "s.db");
  Store store{folder / "s.db"};
  Transaction transaction{store};
  CHECK(transaction.next_ticket() == old.tickets.back().id + 1);
  Ticket ticket = old.tickets.front();
  CHECK_FALSE(transaction.add_ticket(ticket));
  ticket.former = {test::entry("", 3, {})};
  transaction.put_ticket(ticket);
  transaction.remove_ticket(old.tickets.back().wanted.path, old.tickets.back().id);
  transaction.commit();
  CHECK(store.find_ticket(ticket.wanted.path) == ticket);
  CHECK_FALSE(store.find_ticket(old.tickets.back().wanted.path).has_value());
}

TEST_CASE("store: two that find version 1 at once bring it up to date once") {
  const test::TempFolder folder;
  const OldStore old = make_old_store(folder / "s.db");
  std::vector<std::jthread> openers;
  for (int i = 0; i < 4; ++i) {
    openers.emplace_back([&] { CHECK_NOTHROW(Store{folder / "s.db"}); });
  }
  openers.clear();
  Store store{folder / "s.db"};
  check_holds(store, old);
}

TEST_CASE("store: cut short at any step of the upgrade it is as before, and the next one does it") {
  const test::TempFolder folder;
  const std::string path = folder / "s.db";
  const OldStore old = make_old_store(path);
  std::size_t failures = 0;
  for (int steps = 1; steps < 100'000; steps += 1 + steps / 8) {
    CAPTURE(steps);
    if (opens_within(path, steps)) break;
    ++failures;
    // Perhaps it was done, and something that comes after failed.
    const bool is_old = number_in(path, "PRAGMA user_version") == 1;
    CHECK(number_in(path, "SELECT count(*) FROM sqlite_master WHERE name='file_deleted'") ==
          (is_old ? 0 : 1));
    CHECK(number_in(path, "SELECT count(*) FROM ticket") == static_cast<int>(old.tickets.size()));
  }
  CHECK(failures > 20);
  Store store{path};
  check_holds(store, old);
}
