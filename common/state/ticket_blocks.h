#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/arena.h"

namespace lefting::state {

/// Bytes of the bitmap for a file's blocks.
constexpr std::uint64_t bitmap_bytes(std::uint64_t size_bytes) {
  return (block_count(size_bytes) + 7) / 8;
}

/// Bytes in block `block` of a file; the last is mostly shorter.
constexpr std::uint64_t bytes_in_block(std::uint64_t size_bytes, std::uint64_t block) {
  return std::min(block_bytes(size_bytes), size_bytes - block * block_bytes(size_bytes));
}

/// True if `done` has a bit set for a block that the file has.
bool any_done(std::uint64_t size_bytes, const std::vector<std::uint8_t>& done);
/// Copies the bits of the blocks that the file has, clears the rest. Returns the done bytes.
std::uint64_t fill_bitmap(std::uint8_t* bitmap, std::uint64_t size_bytes,
                          const std::vector<std::uint8_t>& done);
/// Sets [first, last). Returns how many bytes are done that were not before.
std::uint64_t set_blocks(std::uint8_t* bitmap, std::uint64_t size_bytes, std::uint64_t first,
                         std::uint64_t last);
/// A bitmap with nothing done. Errors: as Arena::allocate.
Result<std::uint8_t*> make_bitmap(Arena& arena, std::uint64_t size_bytes);

}  // namespace lefting::state
