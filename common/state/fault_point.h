#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lefting::state {

struct Layout;

/// The places at which a test can let a program die: in each critical section of the segment, and
/// at each step between store, segment and share. Source: docs/STATE.md, "Fault points".
enum class FaultPoint : std::uint32_t {
  none,
  shard_locked,     ///< a shard is locked, nothing is changed
  shard_begun,      ///< and marked dirty
  shard_torn,       ///< a record is out of the table, the new one not in it
  shard_ended,      ///< the change is made, the shard still dirty
  shard_reloading,  ///< a shard is being loaded from the store
  arena_announced,  ///< memory is counted, and not there
  arena_backed,     ///< memory is there, and the heap doesn't know
  tickets_locked,
  tickets_begun,
  tickets_torn,
  tickets_ended,
  tickets_reloading,
  peers_locked,
  peers_begun,
  peers_torn,
  peers_ended,
  peers_reloading,
  records_inflight,   ///< the word is set, nothing is committed
  records_committed,  ///< in the store, not in the segment
  records_half,       ///< a record is in the segment, its ticket too
  records_applied,    ///< all is in the segment, the word still set
  tickets_inflight,
  tickets_committed,
  tickets_applied,
  peer_committed,  ///< a peer's facts are in the store, not in the segment
  replaying,       ///< a successor applies what the dead had only committed
  fetched,         ///< content is in the partial file
  published,       ///< a file has its name, nobody has recorded it
  removed,         ///< a file is gone, nobody has recorded it
  synced,          ///< the folders are on disk too
  count
};
inline constexpr std::size_t kFaultPoints = static_cast<std::size_t>(FaultPoint::count);
inline constexpr std::array<std::string_view, kFaultPoints> kFaultPointNames = {"none",
                                                                                "shard_locked",
                                                                                "shard_begun",
                                                                                "shard_torn",
                                                                                "shard_ended",
                                                                                "shard_reloading",
                                                                                "arena_announced",
                                                                                "arena_backed",
                                                                                "tickets_locked",
                                                                                "tickets_begun",
                                                                                "tickets_torn",
                                                                                "tickets_ended",
                                                                                "tickets_reloading",
                                                                                "peers_locked",
                                                                                "peers_begun",
                                                                                "peers_torn",
                                                                                "peers_ended",
                                                                                "peers_reloading",
                                                                                "records_inflight",
                                                                                "records_committed",
                                                                                "records_half",
                                                                                "records_applied",
                                                                                "tickets_inflight",
                                                                                "tickets_committed",
                                                                                "tickets_applied",
                                                                                "peer_committed",
                                                                                "replaying",
                                                                                "fetched",
                                                                                "published",
                                                                                "removed",
                                                                                "synced"};

/// Where and when the next program dies. A test sets it; 0 otherwise.
struct FaultWords {
  std::atomic<FaultPoint> armed{FaultPoint::none};
  std::atomic<std::int32_t> passes_left{0};  ///< the pass at which this becomes 0 is the last
  std::atomic<std::int32_t> victim{0};       ///< pid of the one that died last
};

#ifdef LEFTING_FAULT_POINTS
/// Kills this program if a test wants it to die here, now.
void fault_point(Layout& layout, FaultPoint point);
#else
inline void fault_point(Layout&, FaultPoint) {}
#endif

}  // namespace lefting::state
