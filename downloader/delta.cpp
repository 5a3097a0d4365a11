#include "downloader/delta.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace lefting::downloader {

namespace {

constexpr std::uint64_t kMostRequest = 1u << 20;

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

}  // namespace

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
      const std::uint64_t from = place->second.offset;
      const bool goes_on = !delta.runs.empty() &&
                           delta.runs.back().to + delta.runs.back().length == at &&
                           delta.runs.back().from + delta.runs.back().length == from;
      if (!goes_on) delta.runs.push_back({from, at, 0});
      delta.runs.back().length += block.length;
    }
    at += block.length;
  }
  if (delta.runs.empty()) return std::nullopt;
  return delta;
}

}  // namespace lefting::downloader
