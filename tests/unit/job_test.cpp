#include "downloader/job.h"

#include <doctest/doctest.h>

using namespace lefting;
using downloader::Job;
using downloader::kMostPiece;

namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

Job job_of(std::uint64_t size_bytes) {
  Job job;
  job.view.ticket.wanted.size = size_bytes;
  return job;
}

}  // namespace

TEST_CASE("Job: a block is whole with the last of its pieces, in any order") {
  constexpr std::uint64_t kSize = 40 * kGib + 3 * kMostPiece / 2;
  constexpr std::uint64_t kBlock = 4 * kMostPiece;
  REQUIRE(block_bytes(kSize) == kBlock);
  Job job = job_of(kSize);
  const auto add = [&](std::uint64_t block, std::uint64_t piece) {
    return job.add_piece(block * kBlock + piece * kMostPiece);
  };
  CHECK_FALSE(add(7, 0));
  CHECK_FALSE(add(6, 3));
  CHECK_FALSE(add(8, 0));
  CHECK_FALSE(add(7, 3));
  CHECK_FALSE(add(7, 1));
  CHECK(job.has_piece(7 * kBlock + kMostPiece));
  CHECK_FALSE(job.has_piece(7 * kBlock + 2 * kMostPiece));
  CHECK(add(7, 2));
  CHECK_FALSE(job.has_piece(7 * kBlock));  // the block's bit says it from now on
  CHECK(job.has_piece(6 * kBlock + 3 * kMostPiece));
  const std::uint64_t last = kSize / kBlock;
  CHECK_FALSE(add(last, 1));
  CHECK(add(last, 0));
  CHECK(job.pieces.size() == 2);
}

TEST_CASE("Job: where blocks are as large as pieces each is whole at once") {
  Job job = job_of(kGib + 5);
  REQUIRE(block_bytes(job.wanted().size) == kMostPiece);
  CHECK(job.add_piece(3 * kMostPiece));
  CHECK(job.add_piece(kGib));
  CHECK(job.pieces.empty());
}
