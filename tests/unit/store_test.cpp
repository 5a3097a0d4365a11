#include "common/store/store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/shard.h"
#include "tests/unit/records.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Store;
using store::StoreError;
using store::Transaction;
using test::put;
using test::record_of;
using test::run_sql;

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

TEST_CASE("store: records and tickets below a folder are found, and no neighbour of like name") {
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
  auto below = store.files_below("d");
  std::sort(below.begin(), below.end());
  CHECK(below == std::vector<std::string>{"d/a", "d/e/b"});
  below = store.tickets_below("d");
  std::sort(below.begin(), below.end());
  CHECK(below == std::vector<std::string>{"d/a", "d/t"});
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
