#include "common/state/dictionary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/state/path_key.h"
#include "tests/unit/dictionary_bench.h"

using namespace lefting;
using namespace lefting::state;

TEST_CASE("Dictionary: what one attachment applies another finds, whatever the record") {
  DictionaryBench bench;
  Record record = make_record("a/b", 1);
  for (const std::size_t path_bytes : {1u, 7u, 8u, 9u, 60u, 4095u, 4096u}) {
    for (const std::size_t counters : {0u, 1u, 2u, 64u}) {
      CAPTURE(path_bytes);
      CAPTURE(counters);
      record.entry.path = std::string(path_bytes, 'q');
      record.entry.version.assign(counters, {ShortId{3}, 4});
      record.entry.hash = ContentHash{{1, 2, 3}, HashKind::blake3};
      record.sequence += 1;
      const auto applied = bench.put(record);
      REQUIRE(applied.ok());
      CHECK(applied.value());
      CHECK(bench.other.find(record.entry.path) == record);
    }
  }
  CHECK_FALSE(bench.other.find("a").has_value());
  CHECK_FALSE(bench.other.find("").has_value());
}

TEST_CASE("Dictionary: a lower or equal sequence never replaces a higher one") {
  DictionaryBench bench;
  const Record record = make_record("a", 10);
  CHECK(bench.put(record).value());
  for (const std::uint64_t sequence : {0u, 9u, 10u}) {
    CAPTURE(sequence);
    CHECK_FALSE(bench.dictionary.apply(make_record("a", sequence, 99)).value());
    CHECK(bench.dictionary.find("a") == record);
  }
  CHECK(bench.put(make_record("a", 11, 99)).value());
  CHECK(bench.dictionary.find("a")->entry.size == 99);
}

TEST_CASE("Dictionary: a path longer than a record can hold is an error, and the store has it") {
  DictionaryBench bench;
  const Record fits = make_record(std::string(65'535, 'x'), 1);
  const Record too_long = make_record(std::string(65'536, 'x'), 2);
  CHECK(bench.put(fits).ok());
  CHECK_FALSE(bench.put(too_long).ok());
  CHECK(bench.dictionary.totals().files == 1);
  CHECK(bench.other.find(fits.entry.path) == fits);
  CHECK(bench.other.find(too_long.entry.path) == too_long);
  CHECK_FALSE(bench.dictionary.complete(shard_of(too_long.entry.path)));
}

TEST_CASE("Dictionary: it holds what a map would hold, through any changes and reloads") {
  constexpr unsigned kSeed = 4711;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  DictionaryBench bench;
  for (std::uint64_t step = 1; step <= 6000; ++step) {
    CAPTURE(step);
    const Record record = random_record(random, step > 9 ? step - random() % 9 : step);
    const auto before = bench.store.find(record.entry.path);
    const bool is_new = before == bench.store.end();
    const bool newer = is_new || before->second.sequence < record.sequence;
    // Of a tombstone there is only a trace, so a second one is as good as the first.
    const bool both_deleted = !is_new && before->second.entry.deleted && record.entry.deleted;
    const auto applied = bench.put(record);
    REQUIRE(applied.ok());
    if (!both_deleted) REQUIRE(applied.value() == newer);
    REQUIRE(bench.other.find(record.entry.path) == bench.store[record.entry.path]);
    if (step % 20 == 0) bench.spoil(random() % kShards);
    if (step % 500 == 0) check_same(bench);
  }
}

TEST_CASE("Dictionary: everything begins dirty, so the first look loads what the store has") {
  DictionaryBench bench;
  for (int i = 0; i < 500; ++i) {
    const std::string path = "f" + std::to_string(i);
    bench.store[path] = make_record(path, 1);
  }
  CHECK(bench.dictionary.reloads() == 0);
  CHECK(bench.dictionary.totals().files == 0);
  CHECK(bench.dictionary.find("f7") == bench.store["f7"]);
  CHECK(bench.other.reloads() == 1);
  check_same(bench);
  CHECK(bench.dictionary.reloads() == kShards);
}

TEST_CASE("Dictionary: a load that throws leaves the shard dirty, and the next one heals it") {
  DictionaryBench bench;
  bench.store["a"] = make_record("a", 1);
  Dictionary::Backing torn = bench.backing;
  torn.load = [](std::size_t, const Dictionary::Emit& emit) {
    emit(make_record("a", 5, 5));
    throw std::runtime_error{"store"};
  };
  const Dictionary broken{bench.segment, torn};
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(broken.find("a"), std::runtime_error);
  CHECK(bench.dictionary.reloads() == 0);
  CHECK(bench.dictionary.find("a") == bench.store["a"]);
}

TEST_CASE("Dictionary: in any order of arrival the newest of a path wins, and the dead stay dead") {
  const std::array<Record, 4> history = {make_record("a", 1), make_tombstone("a", 2),
                                         make_record("a", 3), make_tombstone("a", 4)};
  for (std::size_t newest = 1; newest <= history.size(); ++newest) {
    std::vector<std::size_t> order(newest);
    for (std::size_t i = 0; i < newest; ++i) order[i] = i;
    do {
      CAPTURE(newest);
      CAPTURE(order.front());
      DictionaryBench bench;
      bench.load_all();
      bench.store["a"] = history[newest - 1];
      for (const std::size_t at : order) {
        Dictionary& through = at % 2 != 0 ? bench.dictionary : bench.other;
        REQUIRE(through.apply(history[at]).ok());
      }
      check_same(bench);
      for (const Record& late : history) {
        if (late.sequence > newest) break;
        REQUIRE(bench.dictionary.apply(late).ok());
        check_same(bench);
      }
      bench.spoil_all();
      check_same(bench);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("Dictionary: an older live record after a tombstone is told that it is late") {
  DictionaryBench bench;
  CHECK(bench.put(make_record("a", 1)).value());
  CHECK(bench.put(make_tombstone("a", 2)).value());
  CHECK_FALSE(bench.dictionary.apply(make_record("a", 1)).value());
  CHECK(bench.put(make_record("a", 3)).value());
  CHECK(bench.dictionary.totals().files == 1);
  CHECK(bench.dictionary.find("a")->sequence == 3);
}

TEST_CASE("Dictionary: the store is asked for the deleted only") {
  DictionaryBench bench;
  for (std::uint64_t i = 0; i < 1500; ++i) {
    const std::string path = std::to_string(i);
    REQUIRE(bench.put(make_record(path, 2 * i + 1)).ok());
    if (i % 3 == 0) REQUIRE(bench.put(make_tombstone(path, 2 * i + 2)).ok());
  }
  for (const bool loaded_again : {false, true}) {
    CAPTURE(loaded_again);
    if (loaded_again) bench.spoil_all();
    bench.asked = 0;
    for (std::uint64_t i = 0; i < 1500; ++i) {
      const auto found = bench.other.find(std::to_string(i));
      REQUIRE(found == bench.store.at(std::to_string(i)));
      REQUIRE(bench.other.mark(std::to_string(i), 1)->deleted == (i % 3 == 0));
      REQUIRE_FALSE(bench.other.find("never" + std::to_string(i)).has_value());
    }
    CHECK(bench.asked == 2 * 500);
  }
}

TEST_CASE("Dictionary: a path that only looks like a deleted one is as the store says") {
  // Of one shard, and alike in what a tombstone leaves of them.
  const std::string deleted = "c124598";
  const std::string alike = "c541908";
  REQUIRE(shard_of(deleted) == shard_of(alike));
  REQUIRE(static_cast<std::uint32_t>(path_hash(deleted)) ==
          static_cast<std::uint32_t>(path_hash(alike)));
  DictionaryBench bench;
  REQUIRE(bench.put(make_tombstone(deleted, 1)).ok());
  bench.asked = 0;
  CHECK_FALSE(bench.other.find(alike).has_value());
  CHECK_FALSE(bench.other.mark(alike, 1).has_value());
  CHECK(bench.asked == 2);
  CHECK(bench.put(make_record(alike, 2)).value());
  check_same(bench);
  CHECK(bench.put(make_tombstone(alike, 3)).value());
  CHECK(bench.put(make_record(deleted, 4)).value());
  check_same(bench);
  CHECK_FALSE(bench.dictionary.apply(make_record(alike, 2)).value());
  bench.spoil_all();
  check_same(bench);
}

TEST_CASE(
    "Dictionary: a store that can't say about a tombstone throws, and the shard stays whole") {
  DictionaryBench bench;
  REQUIRE(bench.put(make_tombstone("a", 1)).ok());
  Dictionary::Backing silent = bench.backing;
  silent.find = [](std::string_view) -> std::optional<Record> {
    throw std::runtime_error{"store"};
  };
  Dictionary broken{bench.again, silent};
  CHECK_THROWS_AS(broken.find("a"), std::runtime_error);
  CHECK_THROWS_AS(broken.mark("a", 1), std::runtime_error);
  CHECK_THROWS_AS(static_cast<void>(broken.apply(make_record("a", 2))), std::runtime_error);
  const std::uint64_t reloads = bench.dictionary.reloads();
  CHECK(bench.put(make_record("a", 2)).value());
  CHECK(bench.dictionary.reloads() == reloads);
  check_same(bench);
}

TEST_CASE("Dictionary: unmarked() gives the live paths that a traversal has not met") {
  DictionaryBench bench;
  REQUIRE(bench.put(make_tombstone("gone", 1)).ok());
  for (const char* path : {"met", "missed", "replaced"})
    REQUIRE(bench.put(make_record(path, 1)).ok());
  const auto unmarked = [&](std::uint32_t scan) {
    std::set<std::string> all;
    for (std::size_t shard = 0; shard < kShards; ++shard) {
      for (std::string& path : bench.other.unmarked(shard, scan)) all.insert(std::move(path));
    }
    return all;
  };
  CHECK(unmarked(1) == std::set<std::string>{"met", "missed", "replaced"});
  const auto stamp = bench.dictionary.mark("met", 1);
  REQUIRE(stamp.has_value());
  CHECK(stamp->size == 10);
  CHECK(stamp->mtime_ns == -5);
  CHECK(stamp->ctime_ns == 77);
  CHECK(stamp->inode == 78);
  CHECK(stamp->mode == 0644);
  CHECK_FALSE(stamp->deleted);
  CHECK(bench.dictionary.mark("gone", 1)->deleted);
  CHECK_FALSE(bench.dictionary.mark("never", 1).has_value());
  CHECK(bench.dictionary.mark("replaced", 1).has_value());
  Record wider = make_record("replaced", 2);
  wider.entry.version.resize(9);
  REQUIRE(bench.put(wider).ok());
  CHECK(unmarked(1) == std::set<std::string>{"missed"});
  CHECK(unmarked(2) == std::set<std::string>{"met", "missed", "replaced"});
}

TEST_CASE("Dictionary: emit runs without the lock, so it may come back") {
  DictionaryBench bench;
  REQUIRE(bench.put(make_record("a", 1)).ok());
  bench.dictionary.for_each(shard_of("a"), [&](const Record& record) {
    CHECK(bench.dictionary.find(record.entry.path) == record);
    CHECK(bench.put(make_record("a", 2)).ok());
  });
  CHECK(bench.dictionary.find("a")->sequence == 2);
}

TEST_CASE("Dictionary: threads that read and write at once see whole records") {
  DictionaryBench bench;
  const auto write = [&](std::uint64_t begin) {
    for (std::uint64_t i = begin; i < 4000; i += 2) {
      Record record = make_record("t" + std::to_string(i % 40), i, i);
      record.entry.mtime_ns = static_cast<std::int64_t>(i);
      record.entry.version.assign(i % 4, {ShortId{i}, i});
      CHECK(bench.dictionary.apply(record).ok());
    }
  };
  std::thread even{write, 0};
  std::thread odd{write, 1};
  for (int i = 0; i < 2000; ++i) {
    const auto record = bench.dictionary.find("t" + std::to_string(i % 40));
    if (!record) continue;
    CHECK(record->entry.size == record->sequence);
    CHECK(record->entry.version.size() == record->sequence % 4);
    bench.dictionary.for_each(static_cast<std::size_t>(i) % kShards, [](const Record& whole) {
      CHECK(whole.entry.mtime_ns == static_cast<std::int64_t>(whole.sequence));
    });
  }
  even.join();
  odd.join();
  CHECK(bench.dictionary.totals().files == 40);
}
