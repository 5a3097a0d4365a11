#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/shard.h"
#include "common/state/dictionary.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "tests/unit/record_store.h"

namespace lefting::state {

inline Record make_record(std::string path, std::uint64_t sequence, std::size_t counters = 1) {
  Record record;
  record.entry.path = std::move(path);
  record.entry.size = sequence;
  record.entry.version.assign(counters, {ShortId{7}, sequence});
  record.sequence = sequence;
  return record;
}

/// Paths of one shard.
inline std::vector<std::string> paths_in(std::size_t shard, std::size_t count,
                                         const std::string& tail = {}) {
  std::vector<std::string> paths;
  for (std::uint64_t i = 0; paths.size() < count; ++i) {
    std::string path = "file-" + std::to_string(i) + tail;
    if (shard_of(path) == shard) paths.push_back(std::move(path));
  }
  return paths;
}

inline constexpr std::size_t kShard = 5;

inline Record make_tombstone(std::string path, std::uint64_t sequence) {
  Record record = make_record(std::move(path), sequence);
  record.entry.size = 0;
  record.entry.deleted = true;
  return record;
}

/// A dictionary of one shard over a store.
struct Shelf {
  explicit Shelf(std::size_t limit_bytes = 64 << 20) : segment{Segment::create(limit_bytes)} {}

  Records store;
  Segment segment;
  Dictionary::Backing backing = backing_of(store);
  Dictionary dictionary{segment, backing};

  /// Makes the shard again from a store of `paths`.
  void begin(const std::vector<std::string>& paths) {
    store.clear();
    for (const std::string& path : paths) store[path] = make_record(path, 1);
    guard().dirty.store(1);
    static_cast<void>(all());
  }
  Guard& guard() { return segment.layout().shards[kShard].guard; }
  bool is_dirty() { return guard().dirty.load() != 0; }
  Records all() const {
    Records found;
    dictionary.for_each(kShard, [&](const Record& record) { found[record.entry.path] = record; });
    return found;
  }
  /// The live records of the store, all of its records found, and totals that fit them.
  void check() const {
    Records live = store;
    std::erase_if(live, [](const auto& one) { return one.second.entry.deleted; });
    REQUIRE(all() == live);
    REQUIRE(dictionary.totals().files == live.size());
    for (const auto& [path, record] : store) REQUIRE(dictionary.find(path) == record);
  }
  /// The dead may have committed `record` and not applied it: its successor does, as Inflight says.
  void check_after(const Record& record) {
    REQUIRE(dictionary.apply(record).ok());
    check();
  }
};

}  // namespace lefting::state
