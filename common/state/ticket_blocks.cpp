#include "common/state/ticket_blocks.h"

#include <cstring>

namespace lefting::state {

namespace {

/// Byte `at` of `done`, without bits beyond the file's last block.
std::uint8_t byte_of(std::uint64_t size_bytes, const std::vector<std::uint8_t>& done,
                     std::uint64_t at) {
  if (at >= done.size()) return 0;
  const std::uint64_t left = block_count(size_bytes) - at * 8;
  return static_cast<std::uint8_t>(left >= 8 ? done[at] : done[at] & ((1u << left) - 1));
}

}  // namespace

bool any_done(std::uint64_t size_bytes, const std::vector<std::uint8_t>& done) {
  const std::uint64_t bytes = std::min<std::uint64_t>(done.size(), bitmap_bytes(size_bytes));
  for (std::uint64_t at = 0; at < bytes; ++at) {
    if (byte_of(size_bytes, done, at) != 0) return true;
  }
  return false;
}

std::uint64_t fill_bitmap(std::uint8_t* bitmap, std::uint64_t size_bytes,
                          const std::vector<std::uint8_t>& done) {
  std::uint64_t done_bytes = 0;
  for (std::uint64_t at = 0; at < bitmap_bytes(size_bytes); ++at) {
    bitmap[at] = byte_of(size_bytes, done, at);
    for (std::uint64_t bit = 0; bit < 8; ++bit) {
      if ((bitmap[at] >> bit & 1) != 0) done_bytes += bytes_in_block(size_bytes, at * 8 + bit);
    }
  }
  return done_bytes;
}

std::uint64_t set_blocks(std::uint8_t* bitmap, std::uint64_t size_bytes, std::uint64_t first,
                         std::uint64_t last) {
  std::uint64_t added = 0;
  for (std::uint64_t block = first; block < last; ++block) {
    const auto bit = static_cast<std::uint8_t>(1u << block % 8);
    if ((bitmap[block / 8] & bit) != 0) continue;
    bitmap[block / 8] = static_cast<std::uint8_t>(bitmap[block / 8] | bit);
    added += bytes_in_block(size_bytes, block);
  }
  return added;
}

Result<std::uint8_t*> make_bitmap(Arena& arena, std::uint64_t size_bytes) {
  const Result<void*> memory = arena.allocate(bitmap_bytes(size_bytes));
  if (!memory.ok()) return memory.error();
  std::memset(memory.value(), 0, bitmap_bytes(size_bytes));
  return static_cast<std::uint8_t*>(memory.value());
}

}  // namespace lefting::state
