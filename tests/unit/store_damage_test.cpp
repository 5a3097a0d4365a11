// Stores that were cut, garbled or written by others: an error that says so, or what was in them.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "common/store/check.h"
#include "common/store/store.h"
#include "tests/unit/damaged_store.h"

using namespace lefting;
using namespace lefting::test;
using store::Store;
using store::StoreError;
using store::Transaction;
namespace fs = std::filesystem;

namespace {

/// What is said of a sound store after `sql` has changed it by hand.
std::string refusal_after(const std::string& sql) {
  const test::TempFolder folder;
  const std::string path = make_store(folder);
  run_sql(path, sql);
  CAPTURE(sql);
  const std::string fault = refusal(path);
  CHECK(fault != "");
  return fault;
}

}  // namespace

TEST_CASE("store damage: a sound store is sound, before and after it was read") {
  const test::TempFolder folder;
  const std::string path = make_store(folder);
  CHECK(store::check_store(path));
  const Content content = read_all(path);
  CHECK(content.records.size() == kRecords);
  CHECK(store::check_store(path));
  CHECK(read_all(path) == content);
}

TEST_CASE("store damage: cut at any length, it is refused or new, never another one") {
  const test::TempFolder folder;
  const std::string whole = bytes_of(make_store(folder));
  const std::string path = folder / "cut.db";
  std::vector<std::size_t> lengths = {1, 15, 16, 17, 99, 100, 101, 511, 512, 513};
  for (std::size_t at = 1024; at < whole.size(); at += 1009) lengths.push_back(at);
  for (std::size_t at = kPageBytes; at < whole.size(); at += kPageBytes) lengths.push_back(at);
  for (const std::size_t length : lengths) {
    CAPTURE(length);
    write_bytes(path, whole.substr(0, length));
    CHECK(refusal(path) != "");
    CHECK(bytes_of(path) == whole.substr(0, length));
  }
  write_bytes(path, "");
  CHECK_FALSE(store::check_store(path));
}

TEST_CASE("store damage: a page of noise or zeros is refused") {
  const test::TempFolder folder;
  const std::string whole = bytes_of(make_store(folder));
  const Content content = read_all(folder / "good.db");
  const std::string path = folder / "garbled.db";
  std::mt19937 random{1};
  for (std::size_t page = 0; page < whole.size(); page += kPageBytes) {
    for (const bool noise : {true, false}) {
      CAPTURE(page);
      CAPTURE(noise);
      std::string bytes = whole;
      for (std::size_t i = 0; i < kPageBytes; ++i) {
        bytes[page + i] = noise ? static_cast<char>(random()) : '\0';
      }
      write_bytes(path, bytes);
      CHECK(use(path).fault != "");
      CHECK(bytes_of(path) == bytes);
    }
  }
}

TEST_CASE("store damage: a few bytes anywhere give an error, or rows that are sound") {
  const test::TempFolder folder;
  const std::string whole = bytes_of(make_store(folder));
  const std::string path = folder / "garbled.db";
  std::mt19937 random{2};
  int refused = 0;
  constexpr int kRounds = 300;
  for (int round = 0; round < kRounds; ++round) {
    CAPTURE(round);
    std::string bytes = whole;
    const std::size_t at = random() % whole.size();
    for (std::size_t i = at; i < std::min(whole.size(), at + 1 + random() % 16); ++i) {
      bytes[i] = static_cast<char>(random());
    }
    write_bytes(path, bytes);
    refused += use(path).fault.empty() ? 0 : 1;
  }
  // Pages carry no sum: what still looks like a row is taken for one.
  CHECK(refused > kRounds / 8);
}

TEST_CASE("store damage: rows that no program of ours has written are refused") {
  CHECK(says(refusal_after("UPDATE file SET version=x'0011' WHERE sequence=3"), "version"));
  CHECK(says(refusal_after("UPDATE file SET version=zeroblob(16)"), "version"));
  CHECK(says(refusal_after("UPDATE file SET version=version||version"), "version"));
  CHECK(says(refusal_after("UPDATE file SET hash=x'00'"), "hash"));
  CHECK(says(refusal_after("UPDATE file SET size=-1"), "size"));
  CHECK(says(refusal_after("UPDATE file SET size='many'"), "size"));
  CHECK(says(refusal_after("UPDATE file SET mode=512"), "mode"));
  CHECK(says(refusal_after("UPDATE file SET deleted=2 WHERE deleted=0"), "deleted"));
  CHECK(says(refusal_after("UPDATE file SET mtime=0.5"), "mtime"));
  CHECK(says(refusal_after("UPDATE file SET hash=zeroblob(33) WHERE deleted=0"), "hash"));
  CHECK(says(refusal_after("UPDATE file SET hash=x'01' WHERE deleted=0"), "hash"));
  for (const char* path : {"x''", "x'2f61'", "x'612f'", "x'2e2e'", "x'612f2e2e2f62'", "x'6100'",
                           "x'612f2f62'", "zeroblob(9)"}) {
    const std::string set = std::string{"=3;UPDATE file SET path="} + path + " WHERE sequence=3";
    CHECK(says(refusal_after("UPDATE file SET size=3 WHERE sequence" + set), "path"));
  }
  CHECK(says(refusal_after("UPDATE file SET shard=(shard+1)%64 WHERE sequence=3"), "shard"));
  CHECK(says(refusal_after("UPDATE ticket SET size=-1"), "size"));
  CHECK(says(refusal_after("UPDATE ticket SET former=x'00'"), "wishes"));
  CHECK(says(refusal_after("UPDATE ticket SET former=zeroblob(63)||x'01'"), "wishes"));
  CHECK(says(refusal_after("UPDATE peer SET slot=64 WHERE slot=2"), "slot"));
  CHECK(says(refusal_after("UPDATE peer SET device=x'11' WHERE slot=2"), "device"));
}

TEST_CASE("store damage: what an index must know of itself is there, or it is refused") {
  CHECK(says(refusal_after("DELETE FROM counter"), "counter"));
  CHECK(says(refusal_after("DELETE FROM counter WHERE name='ticket'"), "counter"));
  CHECK(says(refusal_after("UPDATE counter SET value=-5 WHERE name='sequence'"), "damaged"));
  CHECK(says(refusal_after("UPDATE counter SET value=3 WHERE name='sequence'"), "counters"));
  CHECK(says(refusal_after("UPDATE counter SET value=3 WHERE name='ticket'"), "counters"));
  CHECK(says(refusal_after("DELETE FROM fact WHERE name='index'"), "index id"));
  CHECK(says(refusal_after("UPDATE fact SET value='?' WHERE name='writer'"), "writer"));
  for (const char* table : {"counter", "fact", "file", "ticket", "peer"}) {
    CHECK(says(refusal_after(std::string{"DROP TABLE "} + table), "no such table"));
  }
  CHECK(says(refusal_after("ALTER TABLE file RENAME COLUMN size TO bytes"), "no such column"));
}

TEST_CASE("store damage: foreign files and newer versions are refused and stay as they are") {
  const test::TempFolder folder;
  const std::string path = folder / "foreign.db";
  run_sql(path, "CREATE TABLE mine(a)");
  const std::string foreign = bytes_of(path);
  CHECK(says(refusal(path), "not a store of Lefting"));
  CHECK_THROWS_AS(Store{path}, StoreError);
  CHECK(bytes_of(path) == foreign);

  write_bytes(path, "not a database, and longer than the header of one would be. " +
                        std::string(9000, 'x'));
  CHECK(says(refusal(path), "not a database"));
  CHECK_THROWS_AS(Store{path}, StoreError);

  const std::string newer = make_store(folder);
  run_sql(newer, "PRAGMA user_version=99");
  CHECK(says(refusal(newer), "newer Lefting"));

  fs::create_directory(folder / "folder.db");
  CHECK(says(refusal(folder / "folder.db"), "not a file"));
  CHECK_THROWS_AS(Store{folder / "folder.db"}, StoreError);
}

TEST_CASE("salvage: of a damaged store the peers, without what was said; of others nothing") {
  const test::TempFolder folder;
  const std::string path = make_store(folder);
  run_sql(path, "DELETE FROM counter; UPDATE file SET version=x'00'");
  store::Salvage got = store::salvage(path);
  REQUIRE(got.peers);
  REQUIRE(got.peers->size() == 3);
  const Peer& peer = got.peers->at(1);
  CHECK(peer.slot == 1);
  CHECK(peer.address == "host:1");
  CHECK(peer.told + peer.seen + peer.index == 0);
  CHECK(got.had_files == true);

  run_sql(path, "DROP TABLE peer; UPDATE file SET deleted=1");
  got = store::salvage(path);
  CHECK_FALSE(got.peers);
  CHECK(got.had_files == false);

  const std::string noise = folder / "noise.db";
  write_bytes(noise, std::string(9000, 'x'));
  for (const std::string& other : {noise, folder / "none.db"}) {
    got = store::salvage(other);
    CHECK_FALSE(got.peers);
    CHECK_FALSE(got.had_files);
  }
  CHECK_FALSE(fs::exists(folder / "none.db"));
}

TEST_CASE("store: its writer is chosen once, and adopting ends once") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  CHECK_FALSE(store.writer());
  CHECK_FALSE(store.adopter());
  CHECK(store.is_of_this_boot());
  store.set_writer(test::device('W'), true);
  store.begin_instance();
  CHECK(Store{folder / "s.db"}.writer() == test::device('W'));
  CHECK(Store{folder / "s.db"}.adopter());
  CHECK(store.is_of_this_boot());
  store.end_adoption();
  CHECK_FALSE(Store{folder / "s.db"}.adopter());
  run_sql(folder / "s.db", "UPDATE fact SET value='another boot' WHERE name='boot'");
  CHECK_FALSE(store.is_of_this_boot());
}
