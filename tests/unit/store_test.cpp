#include "common/store/store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/shard.h"
#include "common/store/rows.h"
#include "common/store/schema.h"
#include "common/store/sqlite.h"
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

// As version 1 made them.
constexpr const char* kOldTables = R"(
PRAGMA journal_mode=WAL;
BEGIN IMMEDIATE;
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file(
  shard INTEGER NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
  mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB, version BLOB NOT NULL,
  sequence INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,
  PRIMARY KEY(shard, path)) WITHOUT ROWID;
CREATE UNIQUE INDEX file_sequence ON file(sequence);
CREATE TABLE ticket(
  id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB,
  version BLOB NOT NULL, sources INTEGER NOT NULL, done BLOB NOT NULL);
CREATE TABLE peer(
  slot INTEGER PRIMARY KEY, device BLOB UNIQUE, name TEXT NOT NULL, address TEXT NOT NULL,
  learned INTEGER NOT NULL, zstd INTEGER NOT NULL, their_index INTEGER NOT NULL, seen INTEGER NOT NULL, told INTEGER NOT NULL);
INSERT INTO counter VALUES('sequence', 0), ('ticket', 0);
INSERT INTO fact VALUES('index', '0102030405060708');
PRAGMA application_id=1279608404;
PRAGMA user_version=1;
COMMIT;
)";

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
  store::execute(raw, kOldTables);
  store::execute(raw, "BEGIN IMMEDIATE");
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
  CHECK(put(store, record_of("b", 3), 9) == 0);  // what it was made from is forgotten
  CHECK(put(store, record_of("b", 3), 0) == 3);
  CHECK(store.find("a")->entry.size == 3);
  CHECK(store.last_sequence() == 3);
}

TEST_CASE("store: an uncommitted transaction leaves nothing, not even its numbers") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  {
    Transaction transaction{store};
    Record record = record_of("a", 1);
    Ticket ticket{.id = 0, .wanted = record.entry, .sources = 1, .done = {}, .former = {}};
    transaction.put_record(record, 0);
    transaction.add_ticket(ticket);
  }
  CHECK_FALSE(store.find("a").has_value());
  CHECK(store.last_sequence() == 0);
  CHECK(store.tickets_after(0, SIZE_MAX >> 1).empty());
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

TEST_CASE(
    "store: paths_below finds records and tickets of a folder, and no neighbour of like name") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (const char* path : {"d/a", "d/e/b", "d-x", "d0", "d.x/a", "dd/a"}) {
    put(store, record_of(path, 1), 0);
  }
  for (const char* path : {"d/a", "d/t", "d0/t"}) {
    Ticket ticket;
    ticket.wanted = test::entry(path, 1, {});
    Transaction transaction{store};
    REQUIRE(transaction.add_ticket(ticket));
    transaction.commit();
  }
  auto below = store.paths_below("d");
  std::sort(below.begin(), below.end());
  CHECK(below == std::vector<std::string>{"d/a", "d/e/b", "d/t"});
}

TEST_CASE("store: a path has one ticket, a newer one gets a newer id, ids are never used twice") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{
      .id = 0, .wanted = test::entry("a", 1, {}), .sources = 5, .done = {1, 2}, .former = {}};
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
    ticket.sources = 7;
    ticket.announced = true;
    ticket.wanted.hash = test::hash_of(5);
    transaction.set_ticket_offer(ticket);
    Ticket offer = {.id = 1, .wanted = ticket.wanted, .sources = 9, .done = {}, .former = {}};
    transaction.set_ticket_offer(offer);
    transaction.set_ticket_done("a", 2, {3});
    transaction.remove_ticket("a", 1);
    transaction.commit();
  }
  ticket.done = {3};
  CHECK(store.find_ticket("a") == ticket);
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
  Ticket ticket{.id = 0, .wanted = test::entry("a", 1, {}), .sources = 3, .done = {}, .former = {}};
  Transaction transaction{store};
  for (int i = 0; i < 3; ++i) {
    Peer peer;
    peer.address = "h:" + std::to_string(i);
    transaction.put_peer(peer);
    CHECK(peer.slot == i);
  }
  transaction.add_ticket(ticket);
  Ticket only_its{
      .id = 0, .wanted = test::entry("b", 1, {}), .sources = 2, .done = {}, .former = {}};
  transaction.add_ticket(only_its);
  transaction.remove_peer(1);
  Peer again;
  again.device = DeviceId{};
  transaction.put_peer(again);
  CHECK(again.slot == 1);
  transaction.commit();
  CHECK(store.peers().size() == 3);
  CHECK(store.peers()[1] == again);
  CHECK(store.find_ticket("a")->sources == 1);
  CHECK(store.find_ticket("b")->sources == 0);  // the downloader gives it up
}

TEST_CASE("store: of a peer that stays deletions are not forgotten: they need nobody") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  Ticket file{
      .id = 0, .wanted = test::entry("f", 1, {}), .sources = 0b11, .done = {}, .former = {}};
  Ticket deletion = file;
  deletion.wanted = test::tombstone("d", {});
  transaction.put_ticket(file);
  transaction.put_ticket(deletion);
  const auto sources = [&](const char* path) { return transaction.find_ticket(path)->sources; };
  CHECK(transaction.forget_offers(0, Offers::files));
  CHECK(sources("f") == 0b10);
  CHECK(sources("d") == 0b11);
  CHECK(transaction.forget_offers(0, Offers::all));
  CHECK(sources("d") == 0b10);
  CHECK_FALSE(transaction.forget_offers(0, Offers::all));
}

TEST_CASE("store: a removed peer lets the lists of the others be taken anew") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  for (std::uint64_t i = 0; i < 2; ++i) {
    Peer peer;
    peer.seen = 10 + i;
    peer.told = 20 + i;
    transaction.put_peer(peer);
  }
  transaction.remove_peer(0);
  transaction.commit();
  REQUIRE(store.peers().size() == 1);
  CHECK(store.peers()[0].seen == 0);
  CHECK(store.peers()[0].told == 21);
}

TEST_CASE("store: a ticket is given up only without a source; one that is gone is given up") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (const std::uint64_t sources : {std::uint64_t{1}, std::uint64_t{1} << 63, std::uint64_t{0}}) {
    CAPTURE(sources);
    Ticket ticket{
        .id = 0, .wanted = test::entry("a", 1, {}), .sources = sources, .done = {}, .former = {}};
    Transaction transaction{store};
    transaction.put_ticket(ticket);
    CHECK(transaction.give_up_ticket("a", ticket.id - 1));
    CHECK(transaction.give_up_ticket("b", ticket.id));
    CHECK(transaction.find_ticket("a").has_value());
    CHECK(transaction.give_up_ticket("a", ticket.id) == (sources == 0));
    CHECK(transaction.find_ticket("a").has_value() == (sources != 0));
    CHECK(transaction.give_up_ticket("a", ticket.id) == (sources == 0));
    transaction.commit();
  }
  CHECK(store.tickets_after(0, SIZE_MAX >> 1).empty());
}

TEST_CASE("store: former wishes come back whole, in their order, whatever the ticket's changes") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 9, {}), .sources = 1, .done = {}, .former = {}};
  for (std::size_t count = 0; count <= kMostFormer; ++count) {
    CAPTURE(count);
    Transaction transaction{store};
    transaction.put_ticket(ticket);
    ticket.sources = 3;
    transaction.set_ticket_offer(ticket);
    transaction.set_ticket_done("a", ticket.id, {7});
    transaction.commit();
    CHECK(Store{folder / "s.db"}.find_ticket("a")->former == ticket.former);
    CHECK(store.tickets_after(ticket.id - 1, 1)[0].former == ticket.former);

    Entry wish = test::entry("", static_cast<int>(count), VersionVector(count % 5));
    for (std::size_t i = 0; i < wish.version.size(); ++i) {
      wish.version[i] = {test::device(static_cast<char>('A' + i)),
                         (std::uint64_t{1} << 53) - 1 - i};
    }
    wish.mtime_ns = count % 2 != 0 ? -1 : std::int64_t{1} << 62;
    wish.size = ~std::uint64_t{0} >> (count + 1);
    wish.mode = 0777;
    wish.deleted = count % 3 == 2;
    if (count % 2 != 0) wish.hash->kind = HashKind::sha256;
    if (wish.deleted) wish.hash.reset();
    ticket.former.push_back(wish);
  }
}

TEST_CASE("store: a wish for unknown content says nothing of a file, so it is not kept") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 9, {}), .sources = 1, .done = {}, .former = {}};
  ticket.former = {test::entry("", 1, {}), test::entry("", 2, {}), test::entry("", 3, {})};
  ticket.former[1].hash.reset();
  Transaction transaction{store};
  transaction.add_ticket(ticket);
  transaction.commit();
  ticket.former.erase(ticket.former.begin() + 1);
  CHECK(store.find_ticket("a")->former == ticket.former);
}

TEST_CASE("store: a shard's tickets and records are those whose path lives in it") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  {
    Transaction transaction{store};
    for (int i = 0; i < 500; ++i) {
      Record record = record_of("f" + std::to_string(i), i);
      Ticket ticket{.id = 0, .wanted = record.entry, .sources = 1, .done = {}, .former = {}};
      transaction.put_record(record, 0);
      transaction.add_ticket(ticket);
    }
    transaction.commit();
  }
  std::size_t records = 0;
  std::set<std::uint64_t> ids;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    store.for_each_in_shard(shard, [&](const Record& record) {
      CHECK(shard_of(record.entry.path) == shard);
      ++records;
    });
    store.for_each_ticket_in_shard(shard, [&](const Ticket& ticket) {
      CHECK(shard_of(ticket.wanted.path) == shard);
      CHECK(ids.insert(ticket.id).second);
    });
  }
  CHECK(records == 500);
  CHECK(ids.size() == 500);
  std::uint64_t last = 0;
  store.for_each_ticket([&](const Ticket& ticket) { CHECK(ticket.id == ++last); });
  CHECK(last == 500);
}

TEST_CASE("store: count_deleted counts tombstones, as they come and go") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  const auto tombstone_of = [](const std::string& path) {
    Record record;
    record.entry = test::tombstone(path, {});
    return record;
  };
  CHECK(store.count_deleted() == 0);
  put(store, record_of("a", 1), 0);
  CHECK(store.count_deleted() == 0);
  put(store, tombstone_of("a"), 1);
  put(store, tombstone_of("b"), 0);
  CHECK(store.count_deleted() == 2);
  CHECK(store.count().deleted == 2);
  CHECK(store.count().files == 0);
  put(store, record_of("a", 3), 2);
  CHECK(store.count_deleted() == 1);
  CHECK(store.count().files == 1);
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

TEST_CASE("store: an instance's sequences are times, so that an older copy gives none again") {
  const test::TempFolder folder;
  const std::string path = folder / "s.db";
  const std::uint64_t before = wall_ms() << 8;
  std::uint64_t first = 0;
  {
    Store store{path};
    store.begin_instance();
    CHECK(store.last_sequence() == 0);
    first = put(store, record_of("a", 1), 0);
  }
  CHECK(first >= before);
  std::filesystem::copy_file(path, folder / "copy.db");
  std::uint64_t last = first;
  {
    Store store{path};
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t next = put(store, record_of("a", 1), last);
      CHECK(next > last);
      last = next;
    }
    Transaction transaction{store};  // that gives none leaves none
    transaction.commit();
    CHECK(store.last_sequence() == last);
  }
  Store copy{folder / "copy.db"};
  CHECK(copy.last_sequence() == first);
  CHECK(put(copy, record_of("b", 1), 0) > last);
}

TEST_CASE("store: sequences that peers know are skipped, but for those of a broken clock") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  const auto skip = [&](std::uint64_t sequence) {
    Transaction transaction{store};
    transaction.skip_sequences(sequence);
    transaction.commit();
  };
  skip(1000);
  CHECK(store.last_sequence() == 1000);
  skip(10);
  skip(std::uint64_t{1} << 60);
  CHECK(store.last_sequence() == 1000);
  CHECK(put(store, record_of("a", 1), 0) == 1001);
  store.begin_instance();
  const std::uint64_t known = (wall_ms() - 60'000) << 8;  // long before the next
  skip(known);
  CHECK(store.last_sequence() >= known);
}

TEST_CASE("store: what a forgotten record said is not forgotten") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  store.set_writer(test::device('B'), false);
  put(store, record_of("a", 1), 0);
  CHECK(store.forgotten() == 0);
  for (int i = 0; i < 2; ++i) {
    Transaction transaction{store};
    transaction.forget_record("a");
    transaction.forget_record("never there");
    transaction.commit();
    CHECK(store.forgotten() == 1u << 30);  // of B in record_of()
  }
  CHECK_FALSE(store.find("a"));
  run_sql(folder / "s.db", "UPDATE fact SET value='x' WHERE name='forgotten'");
  CHECK_THROWS_AS(store.forgotten(), StoreError);
}
