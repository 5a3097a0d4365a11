#include "downloader/delta.h"

#include <doctest/doctest.h>

using namespace lefting;
using downloader::Delta;
using downloader::plan_delta;

namespace {

share::Block block(std::uint32_t length, std::uint8_t content) {
  share::Block out{length, {}};
  out.hash.fill(content);
  return out;
}

}  // namespace

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
