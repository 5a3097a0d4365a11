#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "common/state/segment.h"

namespace lefting::state {

enum class Role : std::uint32_t { scanner, listener, downloader };
inline constexpr std::size_t kRoles = 3;
inline constexpr std::array<std::string_view, kRoles> kRoleNames = {"scanner", "listener",
                                                                    "downloader"};

enum class RoleState : std::uint32_t { stopped, starting, ready, backoff, failed };
const char* to_text(RoleState state);

/// One role's words on the board. Lock-free: the supervisor reads and writes them too.
///
/// `state`, `pid`, `restarts`, `last_exit` are the supervisor's, the rest the role's.
struct RoleSlot {
  std::atomic<RoleState> state{RoleState::stopped};
  std::atomic<std::int32_t> pid{0};
  std::atomic<std::uint32_t> restarts{0};
  std::atomic<std::int32_t> last_exit{0};  ///< exit code, or 128 + signal; meaningful if restarts
  std::atomic<std::uint64_t> heartbeat_ms{0};  ///< monotonic_ms()
};

/// What a program has given to the store and perhaps not yet to the segment: first the word, then
/// the commit, then the segment, then 0 again. Where it died in between, its successor applies
/// again what the store has from here on.
struct Inflight {
  std::atomic<std::uint64_t> sequence{0};  ///< of records
  std::atomic<std::uint64_t> ticket{0};    ///< of ticket ids
};

/// What the user says of deletions that are held back.
enum class Verdict : std::uint32_t { none, approve, restore };

/// Words by which the scanner and those who ask it meet.
struct ScanWords {
  std::atomic<std::uint64_t> wanted{0};    ///< traversals asked for; +1 each
  std::atomic<std::uint64_t> answered{0};  ///< the value of `wanted` when the last ended one began
  std::atomic<std::uint64_t> begun{0};     ///< traversals begun
  std::atomic<std::uint64_t> ended{0};
  std::atomic<std::uint64_t> watch_rounds{0};  ///< +1 when it has begun to watch some folders
  std::atomic<std::uint64_t> last_ms{0};       ///< how long the last took
  std::atomic<std::uint64_t> skipped{0};       ///< symlinks, devices, sockets, reserved names in it
  std::atomic<std::uint64_t> unreadable{0};    ///< files and folders that could not be read in it
  std::atomic<std::uint64_t> ignored{0};       ///< files and folders in it that the rules exclude
  std::atomic<std::uint64_t> left_over{0};     ///< partial files in it that no ticket owns
  std::atomic<std::uint64_t> held{0};          ///< deletions that are held back
  std::atomic<Verdict> verdict{Verdict::none};  ///< on them: a tool sets it, the scanner takes it
  std::atomic<std::uint32_t> watching{0};       ///< 1: inotify covers the share; 0: polling only
};

RoleSlot& role_slot(Segment& segment, Role role);
Inflight& role_inflight(Segment& segment, Role role);
/// Of the hello child that speaks to the peer in `slot`.
Inflight& hello_inflight(Segment& segment, int slot);
ScanWords& scan_words(Segment& segment);
/// Bytes of file data that this instance has received and sent since the segment was made.
struct TrafficWords {
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> sent{0};
};
TrafficWords& traffic_words(Segment& segment);

}  // namespace lefting::state
