#include "common/state/arena.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>

#include "common/state/layout.h"
#include "common/state/segment.h"

using namespace lefting;
using namespace lefting::state;

namespace {

/// Allocates pieces of `bytes` until it is refused. Returns how many it got.
std::size_t fill_up(Arena& arena, std::size_t bytes) {
  std::size_t count = 0;
  while (arena.allocate(bytes).ok()) ++count;
  return count;
}

}  // namespace

TEST_CASE("Arena: it starts with 64 KiB and grows by need") {
  Segment segment = Segment::create(64 << 20);
  Arena arena{segment, segment.layout().shards[3].arena};
  const std::size_t empty = segment.used_bytes();
  REQUIRE(arena.reset().ok());
  CHECK(segment.used_bytes() == empty + (64 << 10));
  REQUIRE(arena.allocate(1 << 20).ok());
  CHECK(segment.used_bytes() >= empty + (1 << 20));
  CHECK(segment.used_bytes() <= empty + (1 << 20) + (128 << 10));
}

TEST_CASE("Arena: beyond its stride it is refused, and what was there stays") {
  Segment segment = Segment::create(16 << 20);
  Arena arena{segment, segment.layout().shards[0].arena};
  REQUIRE(arena.reset().ok());
  const Result<void*> kept = arena.allocate(1000);
  REQUIRE(kept.ok());
  std::memset(kept.value(), 7, 1000);
  for (const std::size_t bytes : {std::size_t{1} << 20, std::size_t{1} << 40, SIZE_MAX}) {
    CAPTURE(bytes);
    const std::size_t used = segment.used_bytes();
    const Result<void*> refused = arena.allocate(bytes);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().text().find("segment_limit_mib") != std::string::npos);
    CHECK(segment.used_bytes() == used);
  }
  CHECK(fill_up(arena, 4000) > 200);
  CHECK(segment.layout().shards[0].arena.committed.load() == 1 << 20);
  CHECK(static_cast<const char*>(kept.value())[999] == 7);
}

TEST_CASE("Arena: all together stay below the segment's limit") {
  Segment segment = Segment::create(2 << 20);  // strides of 128 KiB: room for 32 first steps
  std::size_t reset = 0;
  for (ShardControl& shard : segment.layout().shards) {
    if (Arena{segment, shard.arena}.reset().ok()) ++reset;
  }
  CHECK(reset == 32);
  CHECK(committed_bytes(segment.layout()) == 2 << 20);
  CHECK_FALSE(Arena{segment, segment.layout().tickets.arena}.reset().ok());
  CHECK(Arena{segment, segment.layout().shards[0].arena}.allocate(1000).ok());
}

TEST_CASE("Arena: after reset() all its room is there again, and no more memory is taken") {
  Segment segment = Segment::create(16 << 20);
  Arena arena{segment, segment.layout().shards[9].arena};
  REQUIRE(arena.reset().ok());
  const std::size_t first = fill_up(arena, 1000);
  const std::size_t used = segment.used_bytes();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(arena.reset().ok());
    const std::size_t again = fill_up(arena, 1000);
    CHECK(again >= first);
    CHECK(again <= first + 10);
    CHECK(segment.used_bytes() == used);
  }
}

TEST_CASE("Arena: pieces never overlap while it grows, and freed ones are used again") {
  constexpr unsigned kSeed = 20251;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  Segment segment = Segment::create(64 << 20);
  Arena arena{segment, segment.layout().tickets.arena};
  REQUIRE(arena.reset().ok());
  struct Piece {
    std::size_t bytes;
    unsigned char mark;
  };
  std::map<unsigned char*, Piece> pieces;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 3 != 0) {
      const Piece piece{1 + random() % 700, static_cast<unsigned char>(random())};
      const Result<void*> memory = arena.allocate(piece.bytes);
      REQUIRE(memory.ok());
      std::memset(memory.value(), piece.mark, piece.bytes);
      REQUIRE(reinterpret_cast<std::uintptr_t>(memory.value()) % 8 == 0);
      pieces.emplace(static_cast<unsigned char*>(memory.value()), piece);
    } else if (!pieces.empty()) {
      auto at = pieces.lower_bound(pieces.begin()->first + random() % (4 << 20));
      if (at == pieces.end()) at = pieces.begin();
      const std::string bytes(reinterpret_cast<char*>(at->first), at->second.bytes);
      REQUIRE(bytes == std::string(at->second.bytes, static_cast<char>(at->second.mark)));
      arena.free(at->first);
      pieces.erase(at);
    }
  }
  CHECK(segment.used_bytes() < (8 << 20));
}
