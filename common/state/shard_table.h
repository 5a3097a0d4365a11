#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/arena.h"
#include "common/state/fingerprints.h"
#include "common/state/path_key.h"

namespace lefting::state {

/// The fixed part of a record; its version counters and its path follow. It holds no pointer, so
/// that it can be copied away as bytes and read elsewhere.
struct RecordData {
  std::uint64_t path_hash = 0;
  std::uint64_t sequence = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint64_t inode = 0;
  std::uint32_t scan = 0;  ///< the last traversal that met it; 0: none since it was put here
  std::uint16_t mode = 0;
  std::uint16_t path_bytes = 0;
  std::uint16_t version_count = 0;
  std::uint16_t version_room = 0;  ///< counters that fit before the path
  ContentHash hash;
  bool has_hash = false;

  VersionCounter* versions() { return reinterpret_cast<VersionCounter*>(this + 1); }
  const VersionCounter* versions() const {
    return reinterpret_cast<const VersionCounter*>(this + 1);
  }
  std::string_view path() const {
    return {reinterpret_cast<const char*>(versions() + version_room), path_bytes};
  }
  /// With what follows it; a multiple of 8.
  std::size_t bytes() const;
};
Record to_record(const RecordData& data);

using RecordHook = boost::intrusive::unordered_set_base_hook<
    boost::intrusive::void_pointer<boost::interprocess::offset_ptr<void>>,
    boost::intrusive::link_mode<boost::intrusive::normal_link>>;

struct RecordNode : RecordHook {
  RecordData data;
};

struct HashRecord {
  std::size_t operator()(const RecordNode& node) const { return node.data.path_hash; }
  std::size_t operator()(const PathKey& key) const { return key.hash; }
};
struct EqualRecord {
  bool operator()(const RecordNode& a, const RecordNode& b) const { return &a == &b; }
  bool operator()(const PathKey& key, const RecordNode& node) const {
    return key.hash == node.data.path_hash && key.path == node.data.path();
  }
};

using RecordSet = boost::intrusive::unordered_set<RecordNode, boost::intrusive::hash<HashRecord>,
                                                  boost::intrusive::equal<EqualRecord>,
                                                  boost::intrusive::power_2_buckets<true>>;

/// The live records of one shard, in its arena, and a trace of each tombstone. Needs the shard's
/// lock; what changes it needs a WriteSection, since it is torn if cut short.
class ShardTable {
 public:
  /// Makes an empty one, the root of a new arena.
  static ShardTable& make(Arena& arena);

  RecordNode* find(const PathKey& key);
  /// True if the store may have a record of a path that is not here: a tombstone, or one that
  /// found no room.
  bool may_be_stored(std::uint64_t hash) const { return partial_ || deleted_.may_contain(hash); }

  /// Puts a record if it is newer than the one here; the path keeps its scan mark. Of a tombstone
  /// only a trace is kept.
  /// Errors: no room; the path is not here then, and may_be_stored().
  Result<bool> put(Arena& arena, const Record& record, std::uint64_t hash);
  /// Notes that the store has something of a path with that hash which is not live.
  void put_trace(Arena& arena, std::uint64_t hash);

  auto begin() { return set_.begin(); }
  auto end() { return set_.end(); }
  /// What all RecordData have together, and a copy of them, one after the other.
  std::size_t copy_bytes() const { return copy_bytes_; }
  void copy_to(std::span<std::byte> out) const;

  struct Totals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  const Totals& totals() const { return totals_; }
  /// Roughly what the records and the traces need, but for the heap's own and the buckets.
  std::size_t bytes() const { return copy_bytes_ + deleted_.bytes(); }
  /// Live records that are gone since it was made.
  std::uint64_t erased() const { return erased_; }
  bool partial() const { return partial_; }

 private:
  explicit ShardTable(RecordSet::bucket_traits buckets) : set_{buckets} {}
  Status put_live(Arena& arena, RecordNode* old, const Record& record, std::uint64_t hash);
  void erase(Arena& arena, RecordNode& node);
  Status grow_buckets(Arena& arena);
  void count(const RecordData& data);
  void uncount(const RecordData& data);

  RecordSet set_;
  Fingerprints deleted_;  ///< paths that had a tombstone since the shard was loaded
  bool partial_ = false;  ///< a record found no room since then
  std::uint64_t copy_bytes_ = 0;
  std::uint64_t erased_ = 0;
  Totals totals_;
};

}  // namespace lefting::state
