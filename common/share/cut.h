#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace lefting::share {

/// The rule by which files are cut into blocks here; a peer's blocks by another can't be compared.
inline constexpr std::string_view kCutRule = "gear-64k-256k-1m";
inline constexpr std::size_t kLeastBlock = 64u << 10;
inline constexpr std::size_t kUsualBlock = 256u << 10;
inline constexpr std::size_t kMostBlock = 1u << 20;
/// Files of more bytes are cut; a smaller one is fetched whole.
inline constexpr std::uint64_t kWorthCutting = 1u << 20;

/// XXH3-128, canonical: finds equal bytes, and proves nothing.
using BlockHash = std::array<std::uint8_t, 16>;

/// One block of a file; they follow one another.
struct Block {
  std::uint32_t length = 0;
  BlockHash hash{};
  bool operator==(const Block&) const = default;
};

/// The length of the block that `bytes` begin with: kMostBlock of them, or all up to the file's
/// end. Where a block ends depends on the 64 bytes before, so an insertion changes only the blocks
/// that it touches.
std::size_t block_length(std::span<const std::byte> bytes);

BlockHash block_hash(std::span<const std::byte> bytes);

/// Cuts a file of `size_bytes` with up to `threads` threads, with one result. `beat` is called
/// by each at least every 4 MiB; false ends the work (ECANCELED).
/// Errors: it can't be read, or ends too early (EIO).
Result<std::vector<Block>> cut_file(int fd, std::uint64_t size_bytes, std::size_t threads,
                                    const std::function<bool()>& beat);

/// Files of so many bytes or more have a sketch.
inline constexpr std::uint64_t kWorthSketching = 16u << 20;

/// Some of a file's blocks, by the first 8 bytes of their hashes: files with one in common are
/// alike. Of 4 MiB at its beginning, at its end and at up to 32 places between them it has the 4
/// blocks with the least hashes, so that what was inserted or cut out in front of them moves few.
using Sketch = std::vector<std::uint64_t>;

/// `beat`: as of cut_file(), and so the errors.
Result<Sketch> sketch_file(int fd, std::uint64_t size_bytes, const std::function<bool()>& beat);

/// 20 bytes a block: length (4 bytes, big-endian), hash. Source: docs/PROTOCOL.md, "get_file".
std::string encode_blocks(std::span<const Block> blocks);
/// Nothing where these are no blocks.
std::optional<std::vector<Block>> decode_blocks(std::string_view bytes);
inline constexpr std::size_t kEncodedBlock = 20;

}  // namespace lefting::share
