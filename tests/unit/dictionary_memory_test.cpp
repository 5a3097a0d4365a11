// What a dictionary's records cost, and what it does where there is no more room.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/dictionary_bench.h"

using namespace lefting;
using namespace lefting::state;

namespace {

/// Where not all found room: nothing here but what the store has, and all is found.
void check_within(const DictionaryBench& bench) {
  const Records here = everything(bench.other);
  std::array<std::size_t, kShards> missing{};
  for (const auto& [path, record] : bench.store) {
    REQUIRE(bench.other.find(path) == record);
    if (!record.entry.deleted && !here.contains(path)) ++missing[shard_of(path)];
  }
  for (const auto& [path, record] : here) REQUIRE(bench.store.at(path) == record);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    if (bench.other.complete(shard)) REQUIRE(missing[shard] == 0);
    for (const std::string& path : bench.other.unmarked(shard, 1)) REQUIRE(here.contains(path));
  }
  check_totals(bench.other, here);
  REQUIRE_FALSE(bench.other.find("never there").has_value());
}

std::size_t incomplete_shards(const Dictionary& dictionary) {
  std::size_t count = 0;
  for (std::size_t shard = 0; shard < kShards; ++shard) count += !dictionary.complete(shard);
  return count;
}

/// The attachment of one who may use the segment's memory and gets no more of it.
Segment attach_poor(const Segment& segment) {
  const std::string name = "/proc/self/fd/" + std::to_string(segment.fd());
  return Segment::attach(UniqueFd{::open(name.c_str(), O_RDONLY | O_CLOEXEC)}).take();
}

}  // namespace

TEST_CASE("Dictionary: a shard grows through many bucket arrays and stays whole") {
  DictionaryBench bench;
  constexpr std::uint64_t kRecords = 20'000;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    REQUIRE(bench.put(make_record("folder/file-" + std::to_string(i), i)).ok());
  }
  check_same(bench);
  CHECK(bench.dictionary.reloads() == kShards);
}

TEST_CASE(
    "Dictionary: any number of deletions costs at most 24 bytes each, and none is forgotten") {
  DictionaryBench bench;
  bench.load_all();
  const std::size_t empty = bench.segment.used_bytes();
  constexpr std::uint64_t kTombstones = 100'000;
  for (std::uint64_t i = 0; i < kTombstones; ++i) {
    const Record record = make_tombstone("t" + std::to_string(i), i + 1);
    bench.store[record.entry.path] = record;
    REQUIRE(bench.dictionary.apply(record).ok());
  }
  CHECK(bench.segment.used_bytes() - empty <= 24 * kTombstones);
  CHECK(bench.dictionary.totals().files == 0);
  for (std::uint64_t i = 0; i < kTombstones; i += 7) {
    REQUIRE(bench.other.find("t" + std::to_string(i))->entry.deleted);
  }
  bench.asked = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) static_cast<void>(bench.other.find(std::to_string(i)));
  CHECK(bench.asked < 5);
}

TEST_CASE("Dictionary: a shard of which most was deleted gives its memory back, once") {
  constexpr std::size_t kShard = 11;
  DictionaryBench bench;
  const std::vector<std::string> paths = paths_in(kShard, 6000, 60);
  bench.load_all();
  const std::size_t empty = bench.segment.used_bytes();
  for (const std::string& path : paths) REQUIRE(bench.put(make_record(path, 1)).ok());
  const std::size_t full = bench.segment.used_bytes();
  const std::uint64_t reloads = bench.dictionary.reloads();
  for (std::size_t i = 300; i < paths.size(); ++i) {
    REQUIRE(bench.put(make_tombstone(paths[i], 2)).ok());
  }
  for (int i = 0; i < 3; ++i) check_same(bench);
  CHECK(bench.dictionary.reloads() > reloads);
  CHECK(bench.dictionary.reloads() <= reloads + 2);
  CHECK(full - empty > 1'000'000);
  CHECK(bench.segment.used_bytes() - empty < (full - empty) / 4);
  for (const std::string& path : paths) REQUIRE(bench.put(make_record(path, 3)).ok());
  check_same(bench);
  CHECK(bench.segment.used_bytes() <= full + full / 10);
}

TEST_CASE(
    "Dictionary: ten times a tenth of all paths replaced by new ones adds no tenth of memory") {
  constexpr unsigned kSeed = 31;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  DictionaryBench bench;
  std::uint64_t last = 0;
  const auto add = [&] {
    std::string path = "folder/file-" + std::to_string(++last) + "-";
    path.resize(40 + random() % 41, 'x');
    bench.keep(make_record(path, last));
    REQUIRE(bench.dictionary.apply(make_record(path, last)).ok());
    return path;
  };
  std::vector<std::string> paths;
  for (int i = 0; i < 60'000; ++i) paths.push_back(add());
  const std::size_t before = bench.segment.used_bytes();
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 6000; ++i) {
      std::string& path = paths[random() % paths.size()];
      const Record gone = make_tombstone(path, ++last);
      bench.store[path] = gone;
      REQUIRE(bench.dictionary.apply(gone).ok());
      path = add();
    }
  }
  bench.dictionary.compact();
  CHECK(bench.segment.used_bytes() <= before + before / 10);
  CHECK(bench.dictionary.totals().files == paths.size());
}

TEST_CASE("Dictionary: where a tenth comes before another tenth goes, the memory is given back") {
  DictionaryBench bench;
  std::uint64_t last = 0;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::string path = "folder/file-" + std::to_string(++last) + std::string(30, 'x');
      bench.keep(make_record(path, last));
      REQUIRE(bench.dictionary.apply(make_record(path, last)).ok());
    }
  };
  constexpr int kFiles = 200'000;
  add(kFiles);
  const std::size_t before = bench.segment.used_bytes();
  std::uint64_t oldest = 0;
  for (int round = 0; round < 5; ++round) {
    add(kFiles / 10);
    for (int i = 0; i < kFiles / 10; ++i) {
      const std::string path = "folder/file-" + std::to_string(++oldest) + std::string(30, 'x');
      const Record gone = make_tombstone(path, ++last);
      bench.store[path] = gone;
      REQUIRE(bench.dictionary.apply(gone).ok());
    }
    bench.dictionary.compact();
    const std::uint64_t reloads = bench.dictionary.reloads();
    bench.dictionary.compact();  // there is nothing more to be had
    CHECK(bench.dictionary.reloads() == reloads);
  }
  check_same(bench);
  CHECK(bench.segment.used_bytes() <= before + before / 10);
}

TEST_CASE("Dictionary: what finds no room is asked of the store, whatever happens to it") {
  // With 2 MiB no shard gets more than its first memory, with 3 MiB some do.
  for (const std::size_t limit_mib : {2u, 3u}) {
    CAPTURE(limit_mib);
    constexpr unsigned kSeed = 815;
    CAPTURE(kSeed);
    std::mt19937 random{kSeed};
    DictionaryBench bench{limit_mib << 20};
    std::size_t refused = 0;
    for (std::uint64_t step = 1; step <= 8000; ++step) {
      CAPTURE(step);
      const Record record =
          random_record(random, step > 9 ? step - random() % 9 : step, 3000, 2500);
      bench.keep(record);
      Dictionary& through = step % 2 != 0 ? bench.dictionary : bench.other;
      const auto applied = through.apply(record);
      if (!applied.ok()) {
        ++refused;
        REQUIRE(applied.error().text().find("segment_limit_mib") != std::string::npos);
        REQUIRE_FALSE(bench.dictionary.complete(shard_of(record.entry.path)));
      }
      REQUIRE(bench.other.find(record.entry.path) == bench.store.at(record.entry.path));
      const auto stamp = bench.dictionary.mark(record.entry.path, 1);
      REQUIRE(stamp->size == bench.store.at(record.entry.path).entry.size);
      REQUIRE(stamp->deleted == bench.store.at(record.entry.path).entry.deleted);
      if (step % 50 == 0) bench.spoil(random() % kShards);
      if (step % 1000 == 0) check_within(bench);
    }
    CHECK(refused > 100);
    CHECK(incomplete_shards(bench.dictionary) > 20);
    CHECK(committed_bytes(bench.segment.layout()) <= limit_mib << 20);
  }
}

TEST_CASE("Dictionary: one full shard leaves the others complete") {
  DictionaryBench bench{8 << 20};  // each shard may have 1 MiB
  constexpr std::size_t kFull = 3;
  for (const std::string& path : paths_in(kFull, 1000, 2000)) {
    const auto applied = bench.put(make_record(path, 1));
    if (!applied.ok()) CHECK_FALSE(bench.dictionary.complete(kFull));
  }
  CHECK_FALSE(bench.dictionary.complete(kFull));
  CHECK(bench.dictionary.totals().files > 300);
  for (int i = 0; i < 1000; ++i) {
    const std::string path = std::to_string(i);
    if (shard_of(path) != kFull) REQUIRE(bench.put(make_record(path, 1)).ok());
  }
  CHECK(incomplete_shards(bench.dictionary) == 1);
  check_within(bench);
}

TEST_CASE(
    "Dictionary: a store that doesn't fit is asked for the rest; what fits later is all here") {
  DictionaryBench bench{4 << 20};
  for (int i = 0; i < 1000; ++i) {
    bench.keep(make_record(std::to_string(i) + std::string(20'000, 'x'), 1));
  }
  bench.load_all();
  CHECK(incomplete_shards(bench.dictionary) > 30);
  check_within(bench);
  bench.store.clear();
  for (int i = 0; i < 100; ++i) bench.keep(make_record(std::to_string(i), 2));
  bench.spoil_all();
  check_same(bench);
  CHECK(incomplete_shards(bench.dictionary) == 0);
}

TEST_CASE("Dictionary: where the system refuses memory the store is asked, as at the limit") {
  DictionaryBench bench;
  Segment poor = attach_poor(bench.segment);
  Dictionary dictionary{poor, bench.backing};
  std::size_t refused = 0;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const Record record = make_record(std::to_string(i) + std::string(4000, 'x'), i);
    bench.keep(record);
    const auto applied = dictionary.apply(record);
    if (applied.ok()) continue;
    ++refused;
    REQUIRE(applied.error().code.value() == EBADF);
  }
  CHECK(refused > 100);
  check_within(bench);
  bench.spoil_all();
  check_same(bench);
  CHECK(incomplete_shards(bench.dictionary) == 0);
}

TEST_CASE("Dictionary: a record with a path of 60 bytes and one counter costs at most 230 bytes") {
  DictionaryBench bench{256 << 20};
  static_cast<void>(everything(bench.dictionary));
  const std::size_t empty = bench.segment.used_bytes();
  constexpr std::uint64_t kRecords = 110'000;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    std::string path = "folder/file-" + std::to_string(i);
    path.resize(60, 'x');
    REQUIRE(bench.dictionary.apply(make_record(path, i)).ok());
  }
  const std::size_t first = kShards * kFirstArenaBytes;
  CHECK(bench.segment.used_bytes() - empty + first <= 230 * kRecords);
}
