#include "common/state/dictionary.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/shard.h"
#include "common/state/layout.h"
#include "common/state/path_key.h"
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

Record make_tombstone(std::string path, std::uint64_t sequence) {
  Record record = make_record(std::move(path), sequence, 0);
  record.entry.deleted = true;
  return record;
}

/// A segment, attached twice, over a store of records.
struct Bench {
  explicit Bench(std::size_t limit_bytes = 64 << 20) : segment{Segment::create(limit_bytes)} {}

  std::map<std::string, Record, std::less<>> store;
  std::size_t asked = 0;  ///< how often the store was asked for one path
  Segment segment;
  Segment again = Segment::attach(UniqueFd{::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)}).take();
  Dictionary::Backing backing{.load =
                                  [this](std::size_t, const Dictionary::Emit& emit) {
                                    for (const auto& [path, record] : store) emit(record);
                                  },
                              .find = [this](std::string_view path) -> std::optional<Record> {
                                ++asked;
                                const auto at = store.find(path);
                                if (at == store.end()) return std::nullopt;
                                return at->second;
                              }};
  Dictionary dictionary{segment, backing};
  Dictionary other{again, backing};

  void keep(const Record& record) {
    Record& stored = store[record.entry.path];
    if (stored.entry.path.empty() || record.sequence > stored.sequence) stored = record;
  }
  /// Into the store and then into the segment, whose shard is loaded before.
  Result<bool> put(const Record& record) {
    static_cast<void>(dictionary.find(record.entry.path));
    keep(record);
    return dictionary.apply(record);
  }
  void load_all() {
    for (std::size_t shard = 0; shard < kShards; ++shard) {
      dictionary.for_each(shard, [](const Record&) {});
    }
  }
  void spoil(std::size_t shard) { segment.layout().shards[shard].guard.dirty.store(1); }
  void spoil_all() {
    for (std::size_t shard = 0; shard < kShards; ++shard) spoil(shard);
  }
};

using Records = std::map<std::string, Record, std::less<>>;

Records everything(const Dictionary& dictionary) {
  Records all;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    dictionary.for_each(shard, [&](const Record& record) {
      REQUIRE(shard_of(record.entry.path) == shard);
      REQUIRE_FALSE(record.entry.deleted);
      REQUIRE(all.emplace(record.entry.path, record).second);
    });
  }
  return all;
}

Records live(const Records& records) {
  Records all = records;
  std::erase_if(all, [](const auto& one) { return one.second.entry.deleted; });
  return all;
}

void check_totals(const Dictionary& dictionary, const Records& records) {
  std::uint64_t bytes = 0;
  for (const auto& [path, record] : records) bytes += record.entry.size;
  REQUIRE(dictionary.totals().files == records.size());
  REQUIRE(dictionary.totals().bytes == bytes);
}

void check_same(const Bench& bench) {
  REQUIRE(everything(bench.other) == live(bench.store));
  check_totals(bench.other, live(bench.store));
  for (const auto& [path, record] : bench.store) REQUIRE(bench.other.find(path) == record);
}

/// Where not all found room: nothing here but what the store has, and all is found.
void check_within(const Bench& bench) {
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

/// Paths of `bytes` bytes in one shard.
std::vector<std::string> paths_in(std::size_t shard, std::size_t count, std::size_t bytes) {
  std::vector<std::string> paths;
  for (std::uint64_t i = 0; paths.size() < count; ++i) {
    std::string path = "file-" + std::to_string(i) + "-";
    path.resize(bytes, 'x');
    if (shard_of(path) == shard) paths.push_back(std::move(path));
  }
  return paths;
}

/// The attachment of one who may use the segment's memory and gets no more of it.
Segment attach_poor(const Segment& segment) {
  const std::string name = "/proc/self/fd/" + std::to_string(segment.fd());
  return Segment::attach(UniqueFd{::open(name.c_str(), O_RDONLY | O_CLOEXEC)}).take();
}

/// Any record for one of `paths` paths, of up to `most_bytes` bytes and some.
Record random_record(std::mt19937& random, std::uint64_t sequence, std::uint64_t paths = 300,
                     std::uint64_t most_bytes = 97) {
  const std::uint64_t number = random() % paths;
  Record record = make_record("p" + std::to_string(number), sequence, random());
  record.entry.path += std::string(number * 7919 % most_bytes, 'x');
  record.entry.mode = random() & 0777;
  if (random() % 2 != 0) {
    const HashKind kind = random() % 2 != 0 ? HashKind::blake3 : HashKind::sha256;
    record.entry.hash = ContentHash{{static_cast<std::uint8_t>(random())}, kind};
  }
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

TEST_CASE("Dictionary: a path longer than a record can hold is an error, and the store has it") {
  Bench bench;
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
  Bench bench;
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
      Bench bench;
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
  Bench bench;
  CHECK(bench.put(make_record("a", 1)).value());
  CHECK(bench.put(make_tombstone("a", 2)).value());
  CHECK_FALSE(bench.dictionary.apply(make_record("a", 1)).value());
  CHECK(bench.put(make_record("a", 3)).value());
  CHECK(bench.dictionary.totals().files == 1);
  CHECK(bench.dictionary.find("a")->sequence == 3);
}

TEST_CASE("Dictionary: the store is asked for the deleted only") {
  Bench bench;
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
  Bench bench;
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
  Bench bench;
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

TEST_CASE(
    "Dictionary: any number of deletions costs at most 24 bytes each, and none is forgotten") {
  Bench bench;
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
  Bench bench;
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
  Bench bench;
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
  Bench bench;
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
    Bench bench{limit_mib << 20};
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
  Bench bench{8 << 20};  // each shard may have 1 MiB
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
  Bench bench{4 << 20};
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
  Bench bench;
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

TEST_CASE("Dictionary: unmarked() gives the live paths that a traversal has not met") {
  Bench bench;
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
  const std::size_t first = kShards * kFirstArenaBytes;
  CHECK(bench.segment.used_bytes() - empty + first <= 230 * kRecords);
}
