#include "downloader/delta.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <tuple>

#include "common/base/os.h"
#include "downloader/content_writer.h"

namespace lefting::downloader {

namespace {

/// Where so much in a row is at another place, or at none, it is worth looking for.
constexpr std::uint64_t kMostInARow = 4u << 20;

/// The blocks of an old file by their hashes. 12 bytes a block: a hash table would have some 70,
/// and 1 TiB has four million blocks.
class OldBlocks {
 public:
  explicit OldBlocks(std::span<const share::Block> blocks)
      : blocks_{blocks}, offsets_(blocks.size()), by_hash_(blocks.size()) {
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < blocks.size(); at += blocks[i++].length) offsets_[i] = at;
    std::iota(by_hash_.begin(), by_hash_.end(), std::uint32_t{0});
    std::ranges::sort(by_hash_, [&](std::uint32_t one, std::uint32_t other) {
      return std::tie(blocks[one].hash, one) < std::tie(blocks[other].hash, other);
    });
  }

  /// Where the first one like it begins.
  std::optional<std::uint64_t> find(const share::Block& block) const {
    const auto at = std::ranges::lower_bound(by_hash_, block.hash, {},
                                             [&](std::uint32_t i) { return blocks_[i].hash; });
    if (at == by_hash_.end() || !(blocks_[*at] == block)) return std::nullopt;
    return offsets_[*at];
  }

 private:
  std::span<const share::Block> blocks_;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint32_t> by_hash_;
};

void add_missing(std::vector<Delta::Missing>& missing, std::uint64_t offset, std::uint64_t length) {
  while (length > 0) {
    const bool goes_on = !missing.empty() &&
                         missing.back().offset + missing.back().length == offset &&
                         missing.back().length < kMostPiece;
    if (!goes_on) missing.push_back({offset, 0});
    const std::uint64_t taken = std::min(length, kMostPiece - missing.back().length);
    missing.back().length += taken;
    offset += taken;
    length -= taken;
  }
}

void add_run(std::vector<Delta::Run>& runs, std::uint64_t from, std::uint64_t to,
             std::uint64_t length) {
  const bool goes_on = !runs.empty() && runs.back().to + runs.back().length == to &&
                       runs.back().from + runs.back().length == from;
  if (!goes_on) runs.push_back({from, to, 0});
  runs.back().length += length;
}

}  // namespace

std::uint64_t Delta::missing_bytes() const {
  std::uint64_t bytes = 0;
  for (const Missing& one : missing) bytes += one.length;
  return bytes;
}

bool Delta::leave_out(const std::vector<std::uint8_t>& done, std::uint64_t block_bytes) {
  const auto for_each_open = [&](std::uint64_t at, std::uint64_t length, const auto& emit) {
    for (const std::uint64_t end = at + length; at < end;) {
      const std::uint64_t block = at / block_bytes;
      const std::uint64_t to = std::min(end, (block + 1) * block_bytes);
      if (!has_bit(done, block)) emit(at, to - at);
      at = to;
    }
  };
  Delta rest;
  for (const Missing& one : missing) {
    for_each_open(one.offset, one.length, [&](std::uint64_t at, std::uint64_t length) {
      add_missing(rest.missing, at, length);
    });
  }
  for (const Run& run : runs) {
    for_each_open(run.to, run.length, [&](std::uint64_t at, std::uint64_t length) {
      add_run(rest.runs, run.from + (at - run.to), at, length);
    });
  }
  const bool copied_some = rest.runs != runs;
  missing = std::move(rest.missing);
  runs = std::move(rest.runs);
  return copied_some;
}

std::vector<std::uint64_t> Delta::note_piece(const Missing& piece, std::uint64_t size_bytes) {
  ++fetched;
  if (piece.offset != came_to) came_from = piece.offset;
  came_to = piece.offset + piece.length;
  const std::uint64_t bytes = block_bytes(size_bytes);
  std::vector<std::uint64_t> whole;
  std::uint64_t block = std::max((came_from + bytes - 1) / bytes, piece.offset / bytes);
  for (; block * bytes < came_to; ++block) {
    if (std::min((block + 1) * bytes, size_bytes) <= came_to) whole.push_back(block);
  }
  return whole;
}

std::uint64_t Delta::end_of_missing(std::uint64_t offset, std::uint64_t size_bytes) const {
  const auto next = std::ranges::upper_bound(runs, offset, {}, &Run::to);
  const bool is_in_run =
      next != runs.begin() && std::prev(next)->to + std::prev(next)->length > offset;
  if (is_in_run) return offset;
  return next == runs.end() ? size_bytes : next->to;
}

std::optional<Delta> plan_delta(std::span<const share::Block> old_blocks,
                                std::span<const share::Block> new_blocks) {
  const OldBlocks old{old_blocks};
  Delta delta;
  std::uint64_t at = 0;
  for (const share::Block& block : new_blocks) {
    if (const auto from = old.find(block)) {
      add_run(delta.runs, *from, at, block.length);
    } else {
      add_missing(delta.missing, at, block.length);
    }
    at += block.length;
  }
  if (delta.runs.empty()) return std::nullopt;
  return delta;
}

Result<std::optional<Delta>> plan_in_place(int old_file, std::span<const share::Block> new_blocks,
                                           const std::function<bool()>& beat) {
  Delta delta;
  std::vector<std::byte> buffer(share::kMostBlock);
  std::uint64_t at = 0;
  std::uint64_t in_a_row = 0;  // in the old file
  for (const share::Block& block : new_blocks) {
    if (!beat() || block.length > buffer.size()) return std::optional<Delta>{};
    const std::span<std::byte> bytes{buffer.data(), block.length};
    const auto came = pread_all(old_file, bytes, at);
    if (!came) return came.error();
    if (came.value() == block.length && share::block_hash(bytes) == block.hash) {
      add_run(delta.runs, at, at, block.length);
      in_a_row = 0;
    } else {
      add_missing(delta.missing, at, block.length);
      in_a_row += came.value();
    }
    at += block.length;
    if (in_a_row > kMostInARow) return std::optional<Delta>{};
  }
  // At the end it may be only moved.
  if (in_a_row > share::kMostBlock) return std::optional<Delta>{};
  if (delta.runs.empty()) return std::optional<Delta>{};
  return std::optional{std::move(delta)};
}

}  // namespace lefting::downloader
