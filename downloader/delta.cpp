#include "downloader/delta.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <unordered_map>

#include "common/base/os.h"

namespace lefting::downloader {

namespace {

constexpr std::uint64_t kMostRequest = 1u << 20;
/// Where so much in a row is at another place, or at none, it is worth looking for.
constexpr std::uint64_t kMostInARow = 4u << 20;

struct HashOfBlock {
  std::size_t operator()(const share::BlockHash& hash) const {
    std::size_t out = 0;
    std::memcpy(&out, hash.data(), sizeof out);
    return out;
  }
};

void add_missing(std::vector<Delta::Missing>& missing, std::uint64_t offset, std::uint64_t length) {
  while (length > 0) {
    const bool goes_on = !missing.empty() &&
                         missing.back().offset + missing.back().length == offset &&
                         missing.back().length < kMostRequest;
    if (!goes_on) missing.push_back({offset, 0});
    const std::uint64_t taken = std::min(length, kMostRequest - missing.back().length);
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

std::uint64_t Delta::end_of_missing(std::uint64_t offset, std::uint64_t size_bytes) const {
  const auto next = std::ranges::upper_bound(runs, offset, {}, &Run::to);
  const bool is_in_run =
      next != runs.begin() && std::prev(next)->to + std::prev(next)->length > offset;
  if (is_in_run) return offset;
  return next == runs.end() ? size_bytes : next->to;
}

std::optional<Delta> plan_delta(std::span<const share::Block> old_blocks,
                                std::span<const share::Block> new_blocks) {
  struct Place {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
  };
  std::unordered_map<share::BlockHash, Place, HashOfBlock> places;
  places.reserve(old_blocks.size());
  std::uint64_t at = 0;
  for (const share::Block& block : old_blocks) {
    places.try_emplace(block.hash, Place{at, block.length});
    at += block.length;
  }
  Delta delta;
  at = 0;
  for (const share::Block& block : new_blocks) {
    const auto place = places.find(block.hash);
    if (place == places.end() || place->second.length != block.length) {
      add_missing(delta.missing, at, block.length);
    } else {
      add_run(delta.runs, place->second.offset, at, block.length);
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
