#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/tickets.h"
#include "supervisor/control_server.h"
#include "supervisor/group.h"
#include "supervisor/hellos.h"
#include "supervisor/poll_set.h"
#include "supervisor/prepare.h"
#include "supervisor/requests.h"
#include "supervisor/status_line.h"

namespace lefting::supervisor {

/// A prepared instance at work: one thread, one loop, from the first role's start to the end of
/// the last.
///
/// 1. Nothing here waits but the loop's poll.
/// 2. Of the segment only lock-free words are used; the store is not used at all.
class Supervisor {
 public:
  /// Told once how the start ended, and one line about it.
  using Report = std::function<void(bool good, const std::string& line)>;

  /// SIGTERM, SIGINT and SIGHUP must be blocked: they are taken by the loop.
  Supervisor(Prepared prepared, bool foreground, Report report);

  /// Returns the exit code when the instance has been stopped, or could not be started.
  int run();

 private:
  void turn();
  int timeout_ms(std::uint64_t now_ms) const;
  void take_signals();
  void tell_of_deaths();
  void advance_start(std::uint64_t now_ms);
  void end_start(bool good, const std::string& how);
  void begin_stop();
  Result<Child> spawn_role(state::Role role);
  Result<Child> spawn_hello(int slot);
  ChildPlan plan(const std::string& program, std::vector<std::string> first_arguments) const;

  Prepared prepared_;
  Report report_;
  state::Dictionary dictionary_;
  state::TicketQueue tickets_;
  state::PeerList peers_;
  RoleGroup roles_;
  HelloRunner hellos_;
  Requests requests_;
  ControlServer control_;
  std::optional<StatusLine> status_line_;
  UniqueFd signals_;
  PollSet polls_;
  bool hellos_begun_ = false;
  std::uint64_t start_ends_ms_ = kNever;  ///< when hello has had its time for start's sake
  bool reported_ = false;
  bool stopping_ = false;
  int exit_code_ = 0;
};

/// The signals that stop an instance. Blocks them in this thread.
void block_stop_signals();

}  // namespace lefting::supervisor
