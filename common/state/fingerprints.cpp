#include "common/state/fingerprints.h"

#include <algorithm>
#include <span>

namespace lefting::state {

namespace {

constexpr std::uint32_t kFirstCapacity = 64;

/// The low half: the top bits choose the shard, so they are alike in all of a set.
std::uint32_t fingerprint(std::uint64_t hash) {
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(hash));
}

/// Where the fingerprint stands, or the free slot in which it would.
std::uint32_t& slot_of(std::span<std::uint32_t> slots, std::uint32_t print) {
  std::size_t at = std::uint64_t{print} * slots.size() >> 32;
  while (slots[at] != 0 && slots[at] != print) at = at + 1 == slots.size() ? 0 : at + 1;
  return slots[at];
}

}  // namespace

bool Fingerprints::may_contain(std::uint64_t hash) const {
  if (capacity_ == 0) return false;
  return slot_of({slots_.get(), capacity_}, fingerprint(hash)) != 0;
}

Status Fingerprints::insert(Arena& arena, std::uint64_t hash) {
  if (may_contain(hash)) return {};
  if (count_ >= capacity_ / 4 * 3) {
    if (Status grown = grow(arena); !grown) return grown;
  }
  slot_of({slots_.get(), capacity_}, fingerprint(hash)) = fingerprint(hash);
  ++count_;
  return {};
}

Status Fingerprints::grow(Arena& arena) {
  // By a quarter: all shards get there at about the same time, and the segment grows by it.
  const std::uint32_t capacity = std::max(kFirstCapacity, capacity_ + capacity_ / 4);
  const Result<void*> memory = arena.allocate(capacity * sizeof(std::uint32_t));
  if (!memory) return memory.error();
  const std::span<std::uint32_t> more{static_cast<std::uint32_t*>(memory.value()), capacity};
  std::ranges::fill(more, 0u);
  for (std::uint32_t i = 0; i < capacity_; ++i) {
    if (slots_[i] != 0) slot_of(more, slots_[i]) = slots_[i];
  }
  if (slots_) arena.free(slots_.get());
  slots_ = more.data();
  capacity_ = capacity;
  return {};
}

}  // namespace lefting::state
