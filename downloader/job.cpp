#include "downloader/job.h"

#include <algorithm>
#include <iterator>

namespace lefting::downloader {

bool Job::add_piece(std::uint64_t offset) {
  const std::uint64_t block = block_bytes(wanted().size);
  const std::uint64_t begin = offset / block * block;
  const std::uint64_t end = std::min(begin + block, wanted().size);
  pieces.insert(offset / kMostPiece);
  const auto from = pieces.lower_bound(begin / kMostPiece);
  const auto to = pieces.lower_bound((end + kMostPiece - 1) / kMostPiece);
  const auto count = static_cast<std::uint64_t>(std::distance(from, to));
  if (count < (end - begin + kMostPiece - 1) / kMostPiece) return false;
  pieces.erase(from, to);
  return true;
}

}  // namespace lefting::downloader
