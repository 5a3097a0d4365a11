#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/base/shard.h"
#include "common/state/segment.h"

namespace lefting::state {

/// The file dictionary: path → record, in the segment, one lock a shard.
///
/// 1. What is here is in the store before: so any shard can be made again from it.
/// 2. Records only get newer: a lower or equal sequence never replaces a higher one.
/// 3. Of tombstones there is only a trace here; they, and what found no room, are asked of the
/// store. Any thread of any attached process may call any function.
class Dictionary {
 public:
  using Emit = std::function<void(const Record&)>;
  /// The store, as the dictionary needs it. Both may be called with a shard locked, and throw where
  /// the store can't say.
  struct Backing {
    /// Calls `emit` for each of a shard's records; those of other shards are passed over.
    std::function<void(std::size_t shard, const Emit& emit)> load;
    std::function<std::optional<Record>(std::string_view path)> find;
    /// Calls `emit` with path_hash() of each path of a shard of which find() gives what load()
    /// does not; may be empty.
    std::function<void(std::size_t shard, const std::function<void(std::uint64_t hash)>& emit)>
        load_traces{};
  };

  /// `segment` must outlive the dictionary.
  Dictionary(Segment& segment, Backing backing);

  std::optional<Record> find(std::string_view path) const;

  /// What a traversal needs to see that a file has not changed: no copy of path, hash or version.
  struct Stamp {
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    std::uint64_t inode = 0;
    std::uint32_t mode = 0;
    bool deleted = false;
  };
  /// Finds, and notes that traversal `scan` (never 0) has met the path.
  std::optional<Stamp> mark(std::string_view path, std::uint32_t scan);
  /// Live (not deleted) paths of a shard that traversal `scan` has not met. After a shard was
  /// loaded again these may be paths that it did meet, so look at the disk before believing it.
  /// A path that apply() has put here since is not marked either; one that it replaced stays so.
  /// Where the shard is not complete() there may be more.
  std::vector<std::string> unmarked(std::size_t shard, std::uint32_t scan) const;

  /// Puts a record that the store has, if it is newer than the one here. False: it was not.
  /// Errors: the segment's limit is reached or memory is refused. Then the store is asked for the
  /// path from now on: slower, and as right.
  Result<bool> apply(const Record& record);

  /// Gives back memory that deletions have left unused, where it is worth a reload of the shard:
  /// for when much was changed and nothing is left to do.
  void compact();
  /// Every shard is loaded again by whoever locks it next.
  void spoil();

  /// Copies a shard's live records out under its lock, then calls `emit` for each without the lock.
  void for_each(std::size_t shard, const Emit& emit) const;
  /// False if live records of the shard found no room here: then only the store has them all.
  bool complete(std::size_t shard) const;

  /// Counters that are read without a lock, so only of shards that somebody has locked before.
  struct Totals {
    std::uint64_t files = 0;  ///< live
    std::uint64_t bytes = 0;  ///< sum of their sizes
  };
  Totals totals() const;
  /// True if totals() count all: every shard was locked before, and every record found room.
  bool holds_all() const;
  std::uint64_t reloads() const;  ///< how often a shard was loaded from the store

  Segment& segment() const { return segment_; }

 private:
  Segment& segment_;
  Backing backing_;
};

}  // namespace lefting::state
