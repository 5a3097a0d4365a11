#include "common/state/dictionary.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>

#include "common/state/arena.h"
#include "common/state/guard.h"
#include "common/state/layout.h"
#include "common/state/path_key.h"
#include "common/state/shard_table.h"

namespace lefting::state {

namespace {

/// Below this an arena is kept as it is, in bytes.
constexpr std::uint64_t kWorthShrinking = 256 << 10;
/// Of an arena of which less than this part is in use little is left to be loaded anew.
constexpr std::uint64_t kLittlePart = 8;
/// compact() makes an arena anew of which more than this part is free, but not before this part of
/// its records is gone: loading what is left takes as long as it does.
constexpr std::uint64_t kFreePart = 16;
constexpr std::uint64_t kErasedPart = 16;
constexpr std::uint64_t kWorthCompacting = 64 << 10;

/// One shard, locked and whole.
class ShardLock {
 public:
  /// Throws what `backing` throws, std::system_error (lock).
  ShardLock(Segment& segment, std::size_t shard, const Dictionary::Backing& backing)
      : control_{segment.layout().shards.at(shard)},
        arena_{segment, control_.arena},
        lock_{control_.guard, [&] { reload(shard, backing); }} {
    arena_.fault_point(FaultPoint::shard_locked);
  }

  ShardTable& table() { return *static_cast<ShardTable*>(arena_.root()); }
  Result<bool> put(const Record& record, std::uint64_t hash) {
    const WriteSection section{control_.guard};
    arena_.fault_point(FaultPoint::shard_begun);
    Result<bool> done = table().put(arena_, record, hash);
    publish();
    arena_.fault_point(FaultPoint::shard_ended);
    return done;
  }

  /// True: the next holder makes it anew.
  bool shrink_if_wasteful() {
    const std::uint64_t committed = control_.arena.committed.load(std::memory_order_relaxed);
    const bool is_due = table().erased() * kErasedPart > table().totals().files;
    const bool is_wasteful =
        is_due && committed > kWorthCompacting && arena_.free_bytes() > committed / kFreePart;
    if (is_wasteful) control_.guard.stale.store(1);
    return is_wasteful;
  }

 private:
  /// Records that `backing` gives and that live in other shards are passed over.
  void reload(std::size_t shard, const Dictionary::Backing& backing) {
    arena_.reset();
    ShardTable& table = ShardTable::make(arena_);
    backing.load(shard, [&](const Record& record) {
      const std::uint64_t hash = path_hash(record.entry.path);
      if (shard_of_hash(hash) != shard) return;
      arena_.fault_point(FaultPoint::shard_reloading);
      // What finds no room is asked of the store.
      static_cast<void>(table.put(arena_, record, hash));
    });
    if (backing.load_traces) {
      backing.load_traces(shard, [&](std::uint64_t hash) { table.put_trace(arena_, hash); });
    }
    publish();
    control_.reloads.fetch_add(1, std::memory_order_relaxed);
  }

  void publish() {
    const ShardTable::Totals& totals = table().totals();
    control_.files.store(totals.files, std::memory_order_relaxed);
    control_.bytes.store(totals.bytes, std::memory_order_relaxed);
    control_.partial.store(table().partial() ? 1 : 0, std::memory_order_relaxed);
    // What a deletion of nearly all leaves behind.
    const std::uint64_t committed = control_.arena.committed.load(std::memory_order_relaxed);
    if (committed > kWorthShrinking && table().bytes() < committed / kLittlePart) {
      control_.guard.stale.store(1);
    }
  }

  ShardControl& control_;
  Arena arena_;
  GuardLock lock_;
};

/// A record's bytes, taken out under the lock without asking for memory there.
class RecordCopy {
 public:
  /// False: there was too little room; now there is enough, so find it again and take it.
  bool take(const RecordData& data) {
    const std::size_t need = data.bytes();
    if (need > room_.size()) {
      wanted_ = need;
      return false;
    }
    std::memcpy(room_.data(), &data, need);
    return true;
  }
  void make_room() {
    large_.resize(wanted_);
    room_ = large_;
  }
  Record record() const { return to_record(*reinterpret_cast<const RecordData*>(room_.data())); }

 private:
  alignas(RecordData) std::array<std::byte, 512> small_;
  std::vector<std::byte> large_;
  std::span<std::byte> room_{small_};
  std::size_t wanted_ = 0;
};

/// All of a shard's records as bytes: taken in one go, read without the lock.
std::vector<std::byte> copy_shard(Segment& segment, std::size_t shard,
                                  const Dictionary::Backing& backing) {
  std::vector<std::byte> copy;
  for (;;) {
    std::size_t need = 0;
    {
      ShardLock lock{segment, shard, backing};
      need = lock.table().copy_bytes();
      if (need <= copy.size()) lock.table().copy_to(copy);
    }
    if (need <= copy.size()) {
      copy.resize(need);
      return copy;
    }
    copy.resize(need + need / 8);  // the shard may grow meanwhile
  }
}

}  // namespace

Dictionary::Dictionary(Segment& segment, Backing backing)
    : segment_{segment}, backing_{std::move(backing)} {}

std::optional<Record> Dictionary::find(std::string_view path) const {
  const PathKey key = path_key(path);
  RecordCopy copy;
  for (;; copy.make_room()) {
    bool taken = false;
    {
      ShardLock lock{segment_, shard_of_hash(key.hash), backing_};
      const RecordNode* node = lock.table().find(key);
      if (node == nullptr && !lock.table().may_be_stored(key.hash)) return std::nullopt;
      if (node == nullptr) break;
      taken = copy.take(node->data);
    }
    if (taken) return copy.record();
  }
  return backing_.find(path);
}

std::optional<Dictionary::Stamp> Dictionary::mark(std::string_view path, std::uint32_t scan) {
  const PathKey key = path_key(path);
  {
    ShardLock lock{segment_, shard_of_hash(key.hash), backing_};
    if (RecordNode* node = lock.table().find(key); node != nullptr) {
      RecordData& data = node->data;
      data.scan = scan;  // one word, so it needs no WriteSection
      return Stamp{data.size, data.mtime_ns, data.ctime_ns, data.inode, data.mode, false};
    }
    if (!lock.table().may_be_stored(key.hash)) return std::nullopt;
  }
  const auto stored = backing_.find(path);
  if (!stored) return std::nullopt;
  const Entry& entry = stored->entry;
  return Stamp{entry.size,    entry.mtime_ns, stored->ctime_ns,
               stored->inode, entry.mode,     entry.deleted};
}

std::vector<std::string> Dictionary::unmarked(std::size_t shard, std::uint32_t scan) const {
  std::vector<std::string> paths;
  ShardLock lock{segment_, shard, backing_};
  for (const RecordNode& node : lock.table()) {
    if (node.data.scan != scan) paths.emplace_back(node.data.path());
  }
  return paths;
}

Result<bool> Dictionary::apply(const Record& record) {
  const PathKey key = path_key(record.entry.path);
  ShardLock lock{segment_, shard_of_hash(key.hash), backing_};
  ShardTable& table = lock.table();
  if (record.entry.deleted || table.find(key) != nullptr || !table.may_be_stored(key.hash)) {
    return lock.put(record, key.hash);
  }
  // Something newer may have passed through here and left only a trace.
  const auto newest = backing_.find(record.entry.path);
  if (!newest || newest->entry.deleted) return false;
  return lock.put(*newest, key.hash);
}

void Dictionary::compact() {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const bool is_wasteful = ShardLock{segment_, shard, backing_}.shrink_if_wasteful();
    if (is_wasteful) ShardLock{segment_, shard, backing_};
  }
}

void Dictionary::spoil() {
  for (ShardControl& shard : segment_.layout().shards) shard.guard.stale.store(1);
}

void Dictionary::for_each(std::size_t shard, const Emit& emit) const {
  const std::vector<std::byte> copy = copy_shard(segment_, shard, backing_);
  for (std::size_t at = 0; at < copy.size();) {
    const auto& data = *reinterpret_cast<const RecordData*>(copy.data() + at);
    emit(to_record(data));
    at += data.bytes();
  }
}

bool Dictionary::complete(std::size_t shard) const {
  return segment_.layout().shards.at(shard).partial.load(std::memory_order_relaxed) == 0;
}

Dictionary::Totals Dictionary::totals() const {
  Totals sum;
  for (const ShardControl& shard : segment_.layout().shards) {
    sum.files += shard.files.load(std::memory_order_relaxed);
    sum.bytes += shard.bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

bool Dictionary::holds_all() const {
  return std::ranges::all_of(segment_.layout().shards, [](const ShardControl& shard) {
    return shard.reloads.load(std::memory_order_relaxed) != 0 &&
           shard.partial.load(std::memory_order_relaxed) == 0;
  });
}

std::uint64_t Dictionary::reloads() const {
  std::uint64_t sum = 0;
  for (const ShardControl& shard : segment_.layout().shards) {
    sum += shard.reloads.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace lefting::state
