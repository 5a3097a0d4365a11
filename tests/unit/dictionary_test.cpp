#include "common/state/dictionary.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/base/shard.h"
#include "common/state/layout.h"
#include "common/state/segment.h"

using namespace lefting;
using namespace lefting::state;

namespace {

Record make_record(std::string path, std::uint64_t sequence, std::uint64_t size = 10) {
  Record record;
  record.entry.path = std::move(path);
  record.entry.size = size;
  record.entry.mtime_ns = -5;
  record.entry.version = {{ShortId{1}, sequence + 1}};
  record.sequence = sequence;
  record.ctime_ns = 77;
  record.inode = 78;
  return record;
}

/// A segment, attached twice, over a store of records.
struct Bench {
  explicit Bench(std::size_t limit_bytes = 64 << 20) : segment{Segment::create(limit_bytes)} {}

  std::map<std::string, Record> store;
  Segment segment;
  Segment again = Segment::attach(UniqueFd{::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)}).take();
  Dictionary::LoadShard load = [this](std::size_t, const Dictionary::Emit& emit) {
    for (const auto& [path, record] : store) emit(record);
  };
  Dictionary dictionary{segment, load};
  Dictionary other{again, load};

  /// Into the store and then into the segment, whose shard is loaded before.
  Result<bool> put(const Record& record) {
    static_cast<void>(dictionary.find(record.entry.path));
    Record& stored = store[record.entry.path];
    if (stored.entry.path.empty() || record.sequence > stored.sequence) stored = record;
    return dictionary.apply(record);
  }
  void spoil(std::size_t shard) { segment.layout().shards[shard].guard.dirty.store(1); }
};

std::map<std::string, Record> everything(const Dictionary& dictionary) {
  std::map<std::string, Record> all;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    dictionary.for_each(shard, [&](const Record& record) {
      REQUIRE(shard_of(record.entry.path) == shard);
      REQUIRE(all.emplace(record.entry.path, record).second);
    });
  }
  return all;
}

Dictionary::Totals totals_of(const std::map<std::string, Record>& records) {
  Dictionary::Totals totals;
  for (const auto& [path, record] : records) {
    if (record.entry.deleted) {
      ++totals.deleted;
    } else {
      ++totals.files;
      totals.bytes += record.entry.size;
    }
  }
  return totals;
}

void check_same(const Bench& bench) {
  REQUIRE(everything(bench.other) == bench.store);
  const Dictionary::Totals totals = bench.other.totals();
  const Dictionary::Totals expected = totals_of(bench.store);
  REQUIRE(totals.files == expected.files);
  REQUIRE(totals.bytes == expected.bytes);
  REQUIRE(totals.deleted == expected.deleted);
}

/// Any record for one of a few hundred paths.
Record random_record(std::mt19937& random, std::uint64_t sequence) {
  Record record = make_record("p" + std::to_string(random() % 300), sequence, random());
  record.entry.path += std::string(std::stoul(record.entry.path.substr(1)) % 97, 'x');
  record.entry.mode = random() & 0777;
  if (random() % 2 != 0) record.entry.hash = Sha256{{static_cast<std::uint8_t>(random())}};
  record.entry.version.resize(random() % 5);
  for (std::size_t i = 0; i < record.entry.version.size(); ++i) {
    record.entry.version[i] = {ShortId{i}, random()};
  }
  record.entry.deleted = random() % 4 == 0;
  if (record.entry.deleted) record.entry.size = 0;
  record.inode = random();
  return record;
}

}  // namespace

TEST_CASE("Dictionary: what one attachment applies another finds, whatever the record") {
  Bench bench;
  Record record = make_record("a/b", 1);
  for (const std::size_t path_bytes : {1u, 7u, 8u, 9u, 60u, 4095u, 4096u}) {
    for (const std::size_t counters : {0u, 1u, 2u, 64u}) {
      CAPTURE(path_bytes);
      CAPTURE(counters);
      record.entry.path = std::string(path_bytes, 'q');
      record.entry.version.assign(counters, {ShortId{3}, 4});
      record.entry.hash = Sha256{{1, 2, 3}};
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
  Bench bench;
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

TEST_CASE("Dictionary: a path longer than a record can hold is an error that changes nothing") {
  Bench bench;
  CHECK(bench.dictionary.apply(make_record(std::string(65'535, 'x'), 1)).ok());
  CHECK_FALSE(bench.dictionary.apply(make_record(std::string(65'536, 'x'), 2)).ok());
  CHECK(bench.dictionary.totals().files == 1);
}

TEST_CASE("Dictionary: it holds what a map would hold, through any changes and reloads") {
  constexpr unsigned kSeed = 4711;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  Bench bench;
  for (std::uint64_t step = 1; step <= 6000; ++step) {
    CAPTURE(step);
    const Record record = random_record(random, step > 9 ? step - random() % 9 : step);
    const auto before = bench.store.find(record.entry.path);
    const bool newer = before == bench.store.end() || before->second.sequence < record.sequence;
    const auto applied = bench.put(record);
    REQUIRE(applied.ok());
    REQUIRE(applied.value() == newer);
    REQUIRE(bench.other.find(record.entry.path) == bench.store[record.entry.path]);
    if (step % 20 == 0) bench.spoil(random() % kShards);
    if (step % 500 == 0) check_same(bench);
  }
}

TEST_CASE("Dictionary: a shard grows through many bucket arrays and stays whole") {
  Bench bench;
  constexpr std::uint64_t kRecords = 20'000;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    REQUIRE(bench.put(make_record("folder/file-" + std::to_string(i), i)).ok());
  }
  check_same(bench);
  CHECK(bench.dictionary.reloads() == kShards);
}

TEST_CASE("Dictionary: everything begins dirty, so the first look loads what the store has") {
  Bench bench;
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
  Bench bench;
  bench.store["a"] = make_record("a", 1);
  const Dictionary broken{bench.segment, [](std::size_t, const Dictionary::Emit& emit) {
                            emit(make_record("a", 5, 5));
                            throw std::runtime_error{"store"};
                          }};
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(broken.find("a"), std::runtime_error);
  CHECK(bench.dictionary.reloads() == 0);
  CHECK(bench.dictionary.find("a") == bench.store["a"]);
}

TEST_CASE("Dictionary: where the limit is reached nothing changes and other shards still work") {
  Bench bench{8 << 20};  // each shard may have 512 KiB, all together 8 MiB
  const std::string big_path(4000, 'x');
  std::uint64_t applied = 0;
  std::optional<Error> refusal;
  std::string refused;
  for (std::uint64_t i = 0; i < 100'000 && !refusal; ++i) {
    refused = std::to_string(i) + big_path;
    const Record record = make_record(refused, i);
    const auto done = bench.dictionary.apply(record);
    if (!done.ok()) {
      refusal = done.error();
    } else {
      bench.store[record.entry.path] = record;
      ++applied;
    }
  }
  REQUIRE(refusal.has_value());
  CHECK(refusal->text().find("segment_limit_mib") != std::string::npos);
  CHECK(applied > 500);
  CHECK_FALSE(bench.dictionary.find(refused).has_value());
  const std::uint64_t reloads = bench.dictionary.reloads();
  check_same(bench);
  CHECK(bench.segment.used_bytes() <= (8 << 20) + sizeof(Layout));
  const Record update = make_record(bench.store.begin()->first, 1'000'000, 123);
  CHECK(bench.put(update).value());
  std::uint64_t small = 0;
  for (int i = 0; i < 64; ++i) {
    if (bench.put(make_record(std::to_string(i), 2'000'000)).ok())
      ++small;
    else
      bench.store.erase(std::to_string(i));
  }
  CHECK(small > 32);
  check_same(bench);
  CHECK(bench.dictionary.reloads() == reloads);
}

TEST_CASE("Dictionary: a store that doesn't fit throws, and a smaller one loads later") {
  Bench bench{8 << 20};
  for (int i = 0; i < 300'000 / 100; ++i) {
    const std::string path = std::to_string(i) + std::string(20'000, 'x');
    bench.store[path] = make_record(path, 1);
  }
  CHECK_THROWS_AS(bench.dictionary.find("a"), std::bad_alloc);
  CHECK_THROWS_AS(bench.dictionary.find("a"), std::bad_alloc);
  bench.store.clear();
  bench.store["a"] = make_record("a", 1);
  CHECK(bench.dictionary.find("a") == bench.store["a"]);
}

TEST_CASE("Dictionary: unmarked() gives the live paths that a traversal has not met") {
  Bench bench;
  Record gone = make_record("gone", 1, 0);
  gone.entry.deleted = true;
  REQUIRE(bench.put(gone).ok());
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
  Bench bench;
  REQUIRE(bench.put(make_record("a", 1)).ok());
  bench.dictionary.for_each(shard_of("a"), [&](const Record& record) {
    CHECK(bench.dictionary.find(record.entry.path) == record);
    CHECK(bench.put(make_record("a", 2)).ok());
  });
  CHECK(bench.dictionary.find("a")->sequence == 2);
}

TEST_CASE("Dictionary: threads that read and write at once see whole records") {
  Bench bench;
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

TEST_CASE("Dictionary: a record with a path of 60 bytes and one counter costs at most 230 bytes") {
  Bench bench{256 << 20};
  static_cast<void>(everything(bench.dictionary));
  const std::size_t empty = bench.segment.used_bytes();
  constexpr std::uint64_t kRecords = 110'000;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    std::string path = "folder/file-" + std::to_string(i);
    path.resize(60, 'x');
    REQUIRE(bench.dictionary.apply(make_record(path, i)).ok());
  }
  const std::size_t first_steps = kShards * (64 << 10);
  CHECK(bench.segment.used_bytes() - empty + first_steps <= 230 * kRecords);
}
