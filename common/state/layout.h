#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/base/entry.h"
#include "common/base/shard.h"
#include "common/state/fault_point.h"
#include "common/state/guard.h"
#include "common/state/role_board.h"

namespace lefting::state {

// What lies in the segment: these structures at its begin, then one arena for each shard and one
// for the tickets. Fixed-width integers and offsets only: each program maps it elsewhere.
// Source: docs/STATE.md. What changes here or in the tables changes layout_hash(); a change of
// meaning alone needs a new kLayoutVersion.

inline constexpr std::uint32_t kLayoutVersion = 3;
inline constexpr std::uint64_t kSegmentMagic = 0x0a67'6e69'7466'656c;  // "lefting\n" in memory
inline constexpr std::size_t kPageBytes = 4096;
/// What each arena has of memory from the beginning on: enough for a table with one large ticket.
inline constexpr std::uint64_t kFirstArenaBytes = 4 * kPageBytes;

enum class SegmentState : std::uint32_t { making, ready };

/// The first bytes of the segment: read from the descriptor before anything is mapped.
struct Preamble {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  SegmentState state = SegmentState::making;
  std::uint64_t layout_hash = 0;
  std::uint64_t generation = 0;
  std::uint64_t size_bytes = 0;   ///< of the whole segment
  std::uint64_t limit_bytes = 0;  ///< what all arenas together may have of memory
};

/// Where an arena lies, and how much of it is backed by memory. Guarded by its owner's lock.
struct ArenaControl {
  std::uint64_t offset = 0;                 ///< from the segment's begin, whole pages
  std::uint64_t stride = 0;                 ///< bytes of address space
  std::atomic<std::uint64_t> committed{0};  ///< bytes backed by memory; read without the lock
  std::uint64_t root = 0;                   ///< offset, from `offset`, of the table in it
};

struct alignas(64) ShardControl {
  Guard guard;
  ArenaControl arena;
  std::atomic<std::uint64_t> files{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> reloads{0};
  std::atomic<std::uint32_t> partial{0};  ///< 1: not all of its records found room
};

/// The tickets of a shard's paths. The words are read without the lock.
struct alignas(64) TicketControl {
  Guard guard;
  ArenaControl arena;
  std::atomic<std::uint64_t> first_queued{0};  ///< lowest queued id; kNoTicket; 0: unknown, look
  std::atomic<std::uint64_t> next_retry_ms{~std::uint64_t{0}};
  std::atomic<std::uint64_t> loaded{0};   ///< how many found room, if `partial`
  std::atomic<std::uint32_t> partial{0};  ///< 1: not all of its tickets found room
  std::atomic<std::uint64_t> queued{0};
  std::atomic<std::uint64_t> active{0};
  std::atomic<std::uint64_t> waiting{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
};

/// A text of at most Room bytes.
template <std::size_t Room>
struct FixedText {
  std::uint16_t size = 0;
  std::array<char, Room> bytes{};
};

struct PeerSlot {
  DeviceId device;
  bool has_device = false;
  FixedText<64> name;
  FixedText<300> address;
  bool learned = false;
  bool zstd = false;
  FixedText<200> reason;
  std::uint64_t index = 0;
  std::uint64_t seen = 0;
  std::uint64_t told = 0;
  std::uint64_t most_seen = 0;
  std::uint64_t most_told = 0;
};

/// The masks are the truth of which slots are used and of their states.
struct alignas(64) PeerControl {
  Guard guard;
  std::atomic<std::uint64_t> used{0};
  std::atomic<std::uint64_t> online{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> changes{0};
  std::array<PeerSlot, kMaxPeers> slots;
};

struct alignas(kPageBytes) Layout {
  Preamble preamble;
  alignas(kPageBytes) std::array<RoleSlot, kRoles> roles;
  std::array<Inflight, kRoles> role_inflight;
  std::array<Inflight, kMaxPeers> hello_inflight;
  ScanWords scan;
  TrafficWords traffic;
  FaultWords fault;
  PeerControl peers;
  std::array<ShardControl, kShards> shards;
  std::array<TicketControl, kShards> tickets;
};

/// What all arenas have of memory, in bytes.
inline std::uint64_t committed_bytes(const Layout& layout) {
  std::uint64_t sum = 0;
  for (const ShardControl& shard : layout.shards) sum += shard.arena.committed.load();
  for (const TicketControl& shard : layout.tickets) sum += shard.arena.committed.load();
  return sum;
}

}  // namespace lefting::state
