#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/shard.h"
#include "common/state/dictionary.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "tests/unit/record_store.h"

namespace lefting::state {

inline Record make_record(std::string path, std::uint64_t sequence, std::uint64_t size = 10) {
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

inline Record make_tombstone(std::string path, std::uint64_t sequence) {
  Record record = make_record(std::move(path), sequence, 0);
  record.entry.deleted = true;
  return record;
}

/// A segment, attached twice, over a store of records.
struct DictionaryBench {
  explicit DictionaryBench(std::size_t limit_bytes = 64 << 20)
      : segment{Segment::create(limit_bytes)} {}

  Records store;
  std::size_t asked = 0;  ///< how often the store was asked for one path
  Segment segment;
  Segment again = Segment::attach(UniqueFd{::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)}).take();
  Dictionary::Backing backing{.load = backing_of(store).load,
                              .find = [this](std::string_view path) {
                                ++asked;
                                return backing_of(store).find(path);
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

inline Records everything(const Dictionary& dictionary) {
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

inline Records live(const Records& records) {
  Records all = records;
  std::erase_if(all, [](const auto& one) { return one.second.entry.deleted; });
  return all;
}

inline void check_totals(const Dictionary& dictionary, const Records& records) {
  std::uint64_t bytes = 0;
  for (const auto& [path, record] : records) bytes += record.entry.size;
  REQUIRE(dictionary.totals().files == records.size());
  REQUIRE(dictionary.totals().bytes == bytes);
}

inline void check_same(const DictionaryBench& bench) {
  REQUIRE(everything(bench.other) == live(bench.store));
  check_totals(bench.other, live(bench.store));
  for (const auto& [path, record] : bench.store) REQUIRE(bench.other.find(path) == record);
}

/// Paths of `bytes` bytes in one shard.
inline std::vector<std::string> paths_in(std::size_t shard, std::size_t count, std::size_t bytes) {
  std::vector<std::string> paths;
  for (std::uint64_t i = 0; paths.size() < count; ++i) {
    std::string path = "file-" + std::to_string(i) + "-";
    path.resize(bytes, 'x');
    if (shard_of(path) == shard) paths.push_back(std::move(path));
  }
  return paths;
}

/// Any record for one of `paths` paths, of up to `most_bytes` bytes and some.
inline Record random_record(std::mt19937& random, std::uint64_t sequence, std::uint64_t paths = 300,
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

}  // namespace lefting::state
