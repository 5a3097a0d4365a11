#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/state/role_board.h"
#include "supervisor/backoff.h"
#include "supervisor/child.h"

namespace lefting::supervisor {

/// How long a child that was asked to leave may take, in ms.
inline constexpr std::uint64_t kLeaveMs = 5000;

/// The three roles: started, watched, and started again alone when they die.
///
/// Writes the supervisor's words of the role board; reads the heartbeats. Never waits.
class RoleGroup {
 public:
  using Spawn = std::function<Result<Child>(state::Role)>;

  /// `segment` must outlive the group.
  RoleGroup(state::Segment& segment, Spawn spawn);

  void start_all(std::uint64_t now_ms);
  /// One turn of the loop: what to wait for, and what to do after it.
  void watch(PollSet& polls) const;
  void handle(const PollSet& polls, std::uint64_t now_ms);
  std::uint64_t next_due_ms() const;

  /// True once after a role has died unasked: what it would have told the others is untold.
  bool take_bereaved() { return std::exchange(bereaved_, false); }

  bool all_ready() const;
  /// Why the roles will not all be ready soon: one has failed, or dies again and again.
  std::optional<std::string> fault() const;

  /// Lets the role leave and starts it again; one that has failed or waits is started at once.
  void restart(state::Role role, std::uint64_t now_ms);
  /// Whether the restart asked for last has ended: nothing yet, "" for ready, or why not.
  std::optional<std::string> restarted(state::Role role) const;

  /// All are to leave, for good.
  void leave(std::uint64_t now_ms);
  bool all_gone() const;

  struct Report {
    state::RoleState state;
    std::int32_t pid;
    std::uint64_t uptime_ms;
  };
  Report report(state::Role role, std::uint64_t now_ms) const;

 private:
  struct Member {
    std::optional<Child> child;
    Backoff backoff{kRoleBackoff};       ///< for deaths before it was ready
    Allowance deaths = kDeathAllowance;  ///< for the others
    bool begun = false;                  ///< it was started once
    bool asked = false;                  ///< it leaves because somebody wants it started again
    std::uint64_t start_at_ms = kNever;
    std::uint64_t started_ms = 0;
    std::uint64_t ready_ms = 0;  ///< 0: not ready
    unsigned early_deaths = 0;   ///< in a row, before it was ready
    std::string last_error;      ///< why it ended last
    std::uint64_t last_beat_ms = 0;
    bool has_beaten = false;
    unsigned still_checks = 0;  ///< heartbeat checks in a row that saw nothing new
  };
  static constexpr std::size_t index(state::Role role) { return static_cast<std::size_t>(role); }
  state::RoleSlot& slot(std::size_t i) const;
  void set_state(std::size_t i, state::RoleState state);
  void start(std::size_t i, std::uint64_t now_ms);
  void died(std::size_t i, int exit_code, std::uint64_t now_ms);
  void start_later(std::size_t i, std::uint64_t now_ms);
  void check_heartbeat(std::size_t i);

  state::Segment& segment_;
  Spawn spawn_;
  std::array<Member, state::kRoles> members_{};
  bool leaving_ = false;
  bool bereaved_ = false;
  std::uint64_t next_check_ms_ = kNever;
};

}  // namespace lefting::supervisor
