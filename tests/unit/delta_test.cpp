#include "downloader/delta.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <fstream>

#include "common/base/unique_fd.h"
#include "tests/unit/noise.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using downloader::Delta;
using downloader::plan_delta;
using downloader::plan_in_place;

using test::noise;

namespace {

share::Block block(std::uint32_t length, std::uint8_t content) {
  share::Block out{length, {}};
  out.hash.fill(content);
  return out;
}

/// Opens a file of its own for each content.
class Files {
 public:
  int open(const std::string& content) {
    const std::string name = folder_ / std::to_string(fds_.size());
    std::ofstream{name, std::ios::binary} << content;
    fds_.emplace_back(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    return fds_.back().get();
  }
  std::vector<share::Block> cut(const std::string& content) {
    return share::cut_file(open(content), content.size(), 1, [] { return true; }).take();
  }

 private:
  test::TempFolder folder_;
  std::vector<UniqueFd> fds_;
};

std::optional<Delta> in_place(const std::string& before, const std::string& after) {
  Files files;
  const auto blocks = files.cut(after);
  auto delta = plan_in_place(files.open(before), blocks, [] { return true; });
  REQUIRE(delta.ok());
  return delta.take();
}

}  // namespace

TEST_CASE("plan_in_place: what is changed where it stands, or appended, is missing") {
  const std::string before = noise(20'000'000, 1);
  SUBCASE("nothing") {
    const auto delta = in_place(before, before);
    REQUIRE(delta);
    CHECK(delta->runs == std::vector<Delta::Run>{{0, 0, before.size()}});
    CHECK(delta->missing.empty());
  }
  SUBCASE("changes here and there") {
    std::string after = before;
    for (const std::size_t at : {0u, 7'000'000u, 19'999'999u}) after[at] ^= 1;
    const auto delta = in_place(before, after);
    REQUIRE(delta);
    CHECK(delta->missing_bytes() < 3'200'000);
    for (const Delta::Run& run : delta->runs) CHECK(run.from == run.to);
    // What is missing and what is there make up the whole.
    std::uint64_t bytes = delta->missing_bytes();
    for (const Delta::Run& run : delta->runs) bytes += run.length;
    CHECK(bytes == after.size());
  }
  SUBCASE("appended") {
    const auto delta = in_place(before, before + noise(9'000'000, 2));
    REQUIRE(delta);
    CHECK(delta->missing_bytes() < 10'100'000);
  }
  SUBCASE("cut off") {
    const auto delta = in_place(before, before.substr(0, 11'000'000));
    REQUIRE(delta);
    CHECK(delta->missing_bytes() < 1'100'000);
  }
}

TEST_CASE("plan_in_place: what has moved is to be looked for elsewhere") {
  const std::string before = noise(20'000'000, 1);
  CHECK_FALSE(in_place(before, "x" + before));
  CHECK_FALSE(in_place(before, before.substr(0, 18'000'000) + "x" + before.substr(18'000'000)));
  CHECK_FALSE(in_place(before, noise(20'000'000, 3)));
  CHECK_FALSE(in_place(before, noise(100'000, 3)));
}

TEST_CASE("Delta: what is missing ends where the old version's bytes go on") {
  Delta delta;
  delta.runs = {{.from = 7, .to = 10, .length = 5},
                {.from = 0, .to = 15, .length = 5},
                {.from = 0, .to = 40, .length = 10}};
  CHECK(delta.end_of_missing(0, 60) == 10);
  CHECK(delta.end_of_missing(9, 60) == 10);
  for (const std::uint64_t inside : {10, 12, 15, 19, 40, 49}) {
    CHECK(delta.end_of_missing(inside, 60) == inside);
  }
  CHECK(delta.end_of_missing(20, 60) == 40);
  CHECK(delta.end_of_missing(50, 60) == 60);
  CHECK(delta.end_of_missing(50, 50) == 50);
}

TEST_CASE("Delta: blocks that have come are neither asked for again nor copied") {
  using Pieces = std::vector<Delta::Missing>;
  using Runs = std::vector<Delta::Run>;
  const Pieces missing = {{3, 4}, {15, 20}};
  const Runs runs = {{100, 0, 3}, {0, 7, 8}, {200, 35, 30}};
  const auto rest = [&](std::uint8_t done) {
    Delta delta;
    delta.missing = missing;
    delta.runs = runs;
    delta.leave_out({done}, 10);
    return std::pair{delta.missing, delta.runs};
  };
  CHECK(rest(0b0000) == std::pair{missing, runs});
  CHECK(rest(0b0001) == std::pair{Pieces{{15, 20}}, Runs{{3, 10, 5}, {200, 35, 30}}});
  CHECK(rest(0b0100) == std::pair{Pieces{{3, 4}, {15, 5}, {30, 5}}, runs});
  CHECK(rest(0b10000) ==
        std::pair{missing, Runs{{100, 0, 3}, {0, 7, 8}, {200, 35, 5}, {215, 50, 15}}});
  CHECK(rest(0b1111111) == std::pair{Pieces{}, Runs{}});
  const auto copies_some = [&](std::uint8_t done) {
    Delta delta;
    delta.runs = runs;
    return delta.leave_out({done}, 10);
  };
  CHECK_FALSE(copies_some(0b0100));
  for (const std::uint8_t done : std::vector<std::uint8_t>{0b0001, 0b0010, 0b1000, 0b1000000}) {
    CHECK(copies_some(done));
  }
}

TEST_CASE("Delta: a block has come when all pieces of it have, one after the other") {
  constexpr std::uint64_t kMiB = 1u << 20;
  constexpr std::uint64_t kSize = 5 * kMiB + 1000;
  using Blocks = std::vector<std::uint64_t>;
  Delta delta;
  const auto come = [&](std::uint64_t offset, std::uint64_t length) {
    return delta.note_piece({offset, length}, kSize);
  };
  CHECK(come(kMiB / 2, kMiB) == Blocks{});  // of block 0 only the second half
  CHECK(come(kMiB / 2 * 3, kMiB) == Blocks{1});
  CHECK(come(kMiB / 2 * 5, kMiB / 2) == Blocks{2});
  CHECK(come(kMiB * 4 - 7, kMiB) == Blocks{});  // after a gap
  CHECK(come(kMiB * 5 - 7, 1007) == Blocks{4, 5});
  CHECK(delta.fetched == 5);
  CHECK(come(0, kMiB) == Blocks{0});
}

TEST_CASE(
    "plan_delta: what is there is taken in long runs, the rest is asked for in pieces of 1 MiB") {
  const std::vector<share::Block> before = {block(100, 1), block(200, 2), block(300, 3)};
  const std::vector<share::Block> after = {block(50, 9),        block(100, 1), block(200, 2),
                                           block(3'000'000, 8), block(300, 3), block(100, 1)};
  const auto delta = plan_delta(before, after);
  REQUIRE(delta);
  CHECK(delta->runs ==
        std::vector<Delta::Run>{{0, 50, 300}, {300, 3'000'350, 300}, {0, 3'000'650, 100}});
  constexpr std::uint64_t kMiB = 1u << 20;
  CHECK(delta->missing ==
        std::vector<Delta::Missing>{
            {0, 50}, {350, kMiB}, {350 + kMiB, kMiB}, {350 + 2 * kMiB, 3'000'000 - 2 * kMiB}});
  CHECK_FALSE(delta->has_all());
}

TEST_CASE("plan_delta: one hash with two lengths is two contents; nothing in common is no delta") {
  const std::vector<share::Block> before = {block(100, 1)};
  CHECK_FALSE(plan_delta(before, std::vector{block(101, 1)}));
  CHECK_FALSE(plan_delta(before, std::vector{block(100, 2)}));
  CHECK_FALSE(plan_delta({}, before));
  const auto same = plan_delta(before, before);
  REQUIRE(same);
  CHECK(same->has_all());
}
