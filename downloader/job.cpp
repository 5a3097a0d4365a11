#include "downloader/job.h"

#include <algorithm>
#include <iterator>

namespace lefting::downloader {

bool Job::add_piece(std::uint64_t offset) {
  const std::uint64_t block = block_bytes(wanted().size);
  const std::uint64_t begin = offset / block * block;
  const std::uint64_t end = std::min(begin + block, wanted().size);
  const std::uint64_t first = begin / kMostPiece;
  const std::uint64_t behind = (end + kMostPiece - 1) / kMostPiece;
  pieces.insert(offset / kMostPiece);
  const auto from = pieces.lower_bound(first);
  const auto to = pieces.lower_bound(behind);
  if (static_cast<std::uint64_t>(std::distance(from, to)) < behind - first) return false;
  pieces.erase(from, to);
  return true;
}

}  // namespace lefting::downloader
