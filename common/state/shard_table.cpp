#include "common/state/shard_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include "common/base/assert.h"

namespace lefting::state {

namespace {

static_assert(std::is_trivially_copyable_v<RecordData> && sizeof(RecordData) % 8 == 0);
static_assert(sizeof(RecordNode) == sizeof(RecordHook) + sizeof(RecordData));

constexpr std::size_t kFirstBuckets = 64;  // a power of 2
constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();

Result<RecordSet::bucket_traits> make_buckets(Arena& arena, std::size_t count) {
  const Result<void*> memory = arena.allocate(count * sizeof(RecordSet::bucket_type));
  if (!memory.ok()) return memory.error();
  auto* first = static_cast<RecordSet::bucket_type*>(memory.value());
  for (std::size_t i = 0; i < count; ++i) new (first + i) RecordSet::bucket_type;
  return RecordSet::bucket_traits{first, count};
}

/// Writes all but the hook, the scan mark and the room for versions.
void fill(RecordData& data, const Record& record, std::uint64_t hash) {
  const Entry& entry = record.entry;
  data.path_hash = hash;
  data.sequence = record.sequence;
  data.size = entry.size;
  data.mtime_ns = entry.mtime_ns;
  data.ctime_ns = record.ctime_ns;
  data.inode = record.inode;
  data.hash = entry.hash.value_or(ContentHash{});
  data.has_hash = entry.hash.has_value();
  data.mode = static_cast<std::uint16_t>(entry.mode);
  data.version_count = static_cast<std::uint16_t>(entry.version.size());
  std::copy(entry.version.begin(), entry.version.end(), data.versions());
}

Result<RecordNode*> make_node(Arena& arena, const Record& record, std::uint64_t hash) {
  RecordData head;
  head.version_room = static_cast<std::uint16_t>(record.entry.version.size());
  head.path_bytes = static_cast<std::uint16_t>(record.entry.path.size());
  const Result<void*> memory = arena.allocate(sizeof(RecordHook) + head.bytes());
  if (!memory.ok()) return memory.error();
  auto* node = new (memory.value()) RecordNode;
  node->data = head;
  fill(node->data, record, hash);
  std::memcpy(node->data.versions() + head.version_room, record.entry.path.data(),
              record.entry.path.size());
  return node;
}

}  // namespace

std::size_t RecordData::bytes() const {
  const std::size_t exact = sizeof(RecordData) + version_room * sizeof(VersionCounter) + path_bytes;
  return (exact + 7) / 8 * 8;
}

Record to_record(const RecordData& data) {
  Record record;
  record.entry.path = data.path();
  record.entry.size = data.size;
  record.entry.mtime_ns = data.mtime_ns;
  record.entry.mode = data.mode;
  if (data.has_hash) record.entry.hash = data.hash;
  record.entry.version.assign(data.versions(), data.versions() + data.version_count);
  record.sequence = data.sequence;
  record.ctime_ns = data.ctime_ns;
  record.inode = data.inode;
  return record;
}

ShardTable& ShardTable::make(Arena& arena) {
  // A new arena has room for an empty table.
  const Result<void*> memory = arena.allocate(sizeof(ShardTable));
  LEFTING_ASSERT(memory.ok());
  const Result<RecordSet::bucket_traits> buckets = make_buckets(arena, kFirstBuckets);
  LEFTING_ASSERT(buckets.ok());
  auto* table = new (memory.value()) ShardTable{buckets.value()};
  arena.set_root(table);
  return *table;
}

RecordNode* ShardTable::find(const PathKey& key) {
  const auto at = set_.find(key, HashRecord{}, EqualRecord{});
  return at == set_.end() ? nullptr : &*at;
}

Result<bool> ShardTable::put(Arena& arena, const Record& record, std::uint64_t hash) {
  const Entry& entry = record.entry;
  RecordNode* old = find({entry.path, hash});
  if (old != nullptr && old->data.sequence >= record.sequence) return false;
  if (entry.deleted) {
    put_trace(arena, hash);
    if (old != nullptr) erase(arena, *old);
    return true;
  }
  if (Status done = put_live(arena, old, record, hash); !done) {
    // What is here is no longer true: better that nothing is.
    partial_ = true;
    if (old != nullptr) erase(arena, *old);
    return done.error();
  }
  return true;
}

void ShardTable::put_trace(Arena& arena, std::uint64_t hash) {
  if (!deleted_.insert(arena, hash)) partial_ = true;
}

Status ShardTable::put_live(Arena& arena, RecordNode* old, const Record& record,
                            std::uint64_t hash) {
  if (record.entry.path.size() > kMost || record.entry.version.size() > kMost) {
    return plain_error("put a record", "its path or version is too long");
  }
  if (old != nullptr && record.entry.version.size() <= old->data.version_room) {
    uncount(old->data);
    fill(old->data, record, hash);
    count(old->data);
    return {};
  }
  if (old == nullptr && set_.size() >= set_.bucket_count()) {
    if (Status done = grow_buckets(arena); !done.ok()) return done;
  }
  const Result<RecordNode*> made = make_node(arena, record, hash);
  if (!made.ok()) return made.error();
  if (old != nullptr) {
    made.value()->data.scan = old->data.scan;
    erase(arena, *old);
  }
  arena.fault_point(FaultPoint::shard_torn);
  set_.insert(*made.value());
  count(made.value()->data);
  return {};
}

void ShardTable::erase(Arena& arena, RecordNode& node) {
  uncount(node.data);
  ++erased_;
  set_.erase(set_.iterator_to(node));
  arena.free(&node);
}

Status ShardTable::grow_buckets(Arena& arena) {
  const Result<RecordSet::bucket_traits> more = make_buckets(arena, 2 * set_.bucket_count());
  if (!more.ok()) return more.error();
  void* old = &*set_.bucket_pointer();
  set_.rehash(more.value());
  arena.free(old);
  return {};
}

void ShardTable::copy_to(std::span<std::byte> out) const {
  for (const RecordNode& node : set_) {
    const std::size_t bytes = node.data.bytes();
    std::memcpy(out.data(), &node.data, bytes);
    out = out.subspan(bytes);
  }
}

void ShardTable::count(const RecordData& data) {
  copy_bytes_ += data.bytes();
  ++totals_.files;
  totals_.bytes += data.size;
}

void ShardTable::uncount(const RecordData& data) {
  copy_bytes_ -= data.bytes();
  --totals_.files;
  totals_.bytes -= data.size;
}

}  // namespace lefting::state
