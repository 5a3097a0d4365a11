#include "common/state/arena.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

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

/// What the system says that the segment has of memory.
std::size_t held_bytes(const Segment& segment) {
  struct stat status {};
  REQUIRE(::fstat(segment.fd(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

std::vector<ArenaControl*> all_arenas(Segment& segment) {
  std::vector<ArenaControl*> all;
  for (ShardControl& shard : segment.layout().shards) all.push_back(&shard.arena);
  for (TicketControl& shard : segment.layout().tickets) all.push_back(&shard.arena);
  return all;
}

}  // namespace

TEST_CASE("Arena: its first memory is there from the beginning on, and it grows by need") {
  Segment segment = Segment::create(64 << 20);
  Arena arena{segment, segment.layout().shards[3].arena};
  const std::size_t empty = segment.used_bytes();
  arena.reset();
  REQUIRE(arena.allocate(kFirstArenaBytes / 2).ok());
  CHECK(segment.used_bytes() == empty);
  REQUIRE(arena.allocate(1 << 20).ok());
  CHECK(segment.used_bytes() >= empty + (1 << 20));
  CHECK(segment.used_bytes() <= empty + (1 << 20) + (128 << 10));
}

TEST_CASE("Arena: beyond its stride it is refused, and what was there stays") {
  Segment segment = Segment::create(16 << 20);
  ArenaControl& control = segment.layout().shards[0].arena;
  Arena arena{segment, control};
  arena.reset();
  const Result<void*> kept = arena.allocate(1000);
  REQUIRE(kept.ok());
  std::memset(kept.value(), 7, 1000);
  for (const std::size_t bytes : {std::size_t{2} << 20, std::size_t{1} << 40, SIZE_MAX}) {
    CAPTURE(bytes);
    const std::size_t used = segment.used_bytes();
    const Result<void*> refused = arena.allocate(bytes);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().text().find("segment_limit_mib") != std::string::npos);
    CHECK(segment.used_bytes() == used);
  }
  CHECK(fill_up(arena, 4000) > 500);
  CHECK(control.committed.load() == control.stride);
  CHECK(static_cast<const char*>(kept.value())[999] == 7);
}

TEST_CASE("Arena: all together stay below the limit, where each can still begin anew") {
  Segment segment = Segment::create(4 << 20);
  for (ArenaControl* control : all_arenas(segment)) {
    Arena arena{segment, *control};
    arena.reset();
    fill_up(arena, 1000);
    REQUIRE(committed_bytes(segment.layout()) <= 4 << 20);
  }
  CHECK(committed_bytes(segment.layout()) > (4 << 20) - (64 << 10));
  for (ArenaControl* control : all_arenas(segment)) {
    Arena arena{segment, *control};
    arena.reset();
    REQUIRE(arena.allocate(kFirstArenaBytes / 2).ok());
  }
  CHECK(committed_bytes(segment.layout()) == 2 * kShards * kFirstArenaBytes);
}

TEST_CASE("Arena: what one gives back another gets") {
  Segment segment = Segment::create(4 << 20);
  const std::vector<ArenaControl*> all = all_arenas(segment);
  for (ArenaControl* control : all) {
    Arena arena{segment, *control};
    arena.reset();
    fill_up(arena, 1000);
  }
  Arena last{segment, *all.back()};
  REQUIRE_FALSE(last.allocate(100 << 10).ok());
  Arena{segment, *all.front()}.reset();
  CHECK(last.allocate(100 << 10).ok());
}

TEST_CASE("Arena: after reset() all its room is there again, and its memory was given back") {
  Segment segment = Segment::create(16 << 20);
  Arena arena{segment, segment.layout().shards[9].arena};
  arena.reset();
  const std::size_t empty = segment.used_bytes();
  const std::size_t empty_held = held_bytes(segment);
  const std::size_t first = fill_up(arena, 1000);
  const std::size_t full = segment.used_bytes();
  CHECK(full > empty + (1 << 20));
  CHECK(held_bytes(segment) - empty_held == full - empty);
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    arena.reset();
    CHECK(segment.used_bytes() == empty);
    CHECK(held_bytes(segment) == empty_held);
    CHECK(fill_up(arena, 1000) == first);
    CHECK(segment.used_bytes() == full);
  }
}

TEST_CASE("Arena: where the system refuses memory nothing changes, and it is the cause") {
  Segment segment = Segment::create(16 << 20);
  // The system takes no request for memory from a descriptor that can only read.
  UniqueFd readable{
      ::open(("/proc/self/fd/" + std::to_string(segment.fd())).c_str(), O_RDONLY | O_CLOEXEC)};
  Segment poor = Segment::attach(std::move(readable)).take();
  Arena arena{poor, poor.layout().shards[2].arena};
  arena.reset();
  const Result<void*> kept = arena.allocate(1000);
  REQUIRE(kept.ok());
  std::memset(kept.value(), 7, 1000);
  for (int i = 0; i < 3; ++i) {
    const std::size_t used = segment.used_bytes();
    const Result<void*> refused = arena.allocate(64 << 10);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code.value() == EBADF);
    CHECK(segment.used_bytes() == used);
  }
  Arena rich{segment, segment.layout().shards[2].arena};
  CHECK(rich.allocate(64 << 10).ok());
  CHECK(static_cast<const char*>(kept.value())[999] == 7);
}

TEST_CASE("Arena: memory that the system doesn't take back is grown over again") {
  Segment segment = Segment::create(16 << 20);
  UniqueFd readable{
      ::open(("/proc/self/fd/" + std::to_string(segment.fd())).c_str(), O_RDONLY | O_CLOEXEC)};
  Segment poor = Segment::attach(std::move(readable)).take();
  Arena arena{segment, segment.layout().shards[2].arena};
  arena.reset();
  const std::size_t count = fill_up(arena, 1000);
  const std::size_t held = held_bytes(segment);
  Arena{poor, poor.layout().shards[2].arena}.reset();
  CHECK(held_bytes(segment) == held);
  CHECK(fill_up(arena, 1000) == count);
  CHECK(held_bytes(segment) == held);
}

TEST_CASE("Arena: pieces never overlap while it grows, and freed ones are used again") {
  constexpr unsigned kSeed = 20251;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  Segment segment = Segment::create(64 << 20);
  Arena arena{segment, segment.layout().tickets[7].arena};
  arena.reset();
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
  CHECK(segment.used_bytes() < (10 << 20));
}
