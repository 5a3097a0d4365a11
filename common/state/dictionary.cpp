#include "common/state/dictionary.h"

#include <atomic>
#include <span>

#include "common/state/arena.h"
#include "common/state/guard.h"
#include "common/state/layout.h"
#include "common/state/path_key.h"
#include "common/state/shard_table.h"

namespace lefting::state {

namespace {

/// One shard, locked and whole.
class ShardLock {
 public:
  /// Throws what `load` throws, OutOfRoom, std::system_error (lock).
  ShardLock(Segment& segment, std::size_t shard, const Dictionary::LoadShard& load)
      : control_{segment.layout().shards.at(shard)},
        arena_{segment, control_.arena},
        lock_{control_.guard, [&] { reload(shard, load); }} {}

  ShardTable& table() { return *static_cast<ShardTable*>(arena_.root()); }
  Result<bool> put(const Record& record, std::uint64_t hash) {
    const WriteSection section{control_.guard};
    Result<bool> done = table().put(arena_, record, hash);
    publish();
    return done;
  }

 private:
  /// Records that `load` gives and that live in other shards are passed over.
  void reload(std::size_t shard, const Dictionary::LoadShard& load) {
    if (const Status done = arena_.reset(); !done.ok()) throw OutOfRoom{done.error()};
    const Result<ShardTable*> table = ShardTable::make(arena_);
    if (!table.ok()) throw OutOfRoom{table.error()};
    load(shard, [&](const Record& record) {
      const std::uint64_t hash = path_hash(record.entry.path);
      if (shard_of_hash(hash) != shard) return;
      const Result<bool> done = table.value()->put(arena_, record, hash);
      if (!done.ok()) throw OutOfRoom{done.error()};
    });
    publish();
    control_.reloads.fetch_add(1, std::memory_order_relaxed);
  }

  void publish() {
    const ShardTable::Totals& totals = table().totals();
    control_.files.store(totals.files, std::memory_order_relaxed);
    control_.bytes.store(totals.bytes, std::memory_order_relaxed);
    control_.deleted.store(totals.deleted, std::memory_order_relaxed);
  }

  ShardControl& control_;
  Arena arena_;
  GuardLock lock_;
};

/// All of a shard's records as bytes: taken in one go, read without the lock.
std::vector<std::byte> copy_shard(Segment& segment, std::size_t shard,
                                  const Dictionary::LoadShard& load) {
  std::vector<std::byte> copy;
  for (;;) {
    std::size_t need = 0;
    {
      ShardLock lock{segment, shard, load};
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

Dictionary::Dictionary(Segment& segment, LoadShard load)
    : segment_{segment}, load_{std::move(load)} {}

std::optional<Record> Dictionary::find(std::string_view path) const {
  const PathKey key = path_key(path);
  ShardLock lock{segment_, shard_of_hash(key.hash), load_};
  const RecordNode* node = lock.table().find(key);
  if (node == nullptr) return std::nullopt;
  return to_record(node->data);
}

std::optional<Dictionary::Stamp> Dictionary::mark(std::string_view path, std::uint32_t scan) {
  const PathKey key = path_key(path);
  ShardLock lock{segment_, shard_of_hash(key.hash), load_};
  RecordNode* node = lock.table().find(key);
  if (node == nullptr) return std::nullopt;
  RecordData& data = node->data;
  data.scan = scan;  // one word, so it needs no WriteSection
  return Stamp{data.size, data.mtime_ns, data.ctime_ns, data.inode, data.mode, data.deleted};
}

std::vector<std::string> Dictionary::unmarked(std::size_t shard, std::uint32_t scan) const {
  std::vector<std::string> paths;
  ShardLock lock{segment_, shard, load_};
  for (const RecordNode& node : lock.table()) {
    if (!node.data.deleted && node.data.scan != scan) paths.emplace_back(node.data.path());
  }
  return paths;
}

Result<bool> Dictionary::apply(const Record& record) {
  const std::uint64_t hash = path_hash(record.entry.path);
  ShardLock lock{segment_, shard_of_hash(hash), load_};
  return lock.put(record, hash);
}

void Dictionary::for_each(std::size_t shard, const Emit& emit) const {
  const std::vector<std::byte> copy = copy_shard(segment_, shard, load_);
  for (std::size_t at = 0; at < copy.size();) {
    const auto& data = *reinterpret_cast<const RecordData*>(copy.data() + at);
    emit(to_record(data));
    at += data.bytes();
  }
}

Dictionary::Totals Dictionary::totals() const {
  Totals sum;
  for (const ShardControl& shard : segment_.layout().shards) {
    sum.files += shard.files.load(std::memory_order_relaxed);
    sum.bytes += shard.bytes.load(std::memory_order_relaxed);
    sum.deleted += shard.deleted.load(std::memory_order_relaxed);
  }
  return sum;
}

std::uint64_t Dictionary::reloads() const {
  std::uint64_t sum = 0;
  for (const ShardControl& shard : segment_.layout().shards) {
    sum += shard.reloads.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace lefting::state
