#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "supervisor/poll_set.h"
#include "supervisor/schedule.h"

namespace lefting::supervisor {

/// A program to start, and the descriptors it is to find (common/role/inherited.h). The
/// descriptors stay the caller's.
struct ChildPlan {
  std::string program;                 ///< its file
  std::vector<std::string> arguments;  ///< argv, [0] included
  std::uint64_t generation = 0;
  int segment = -1;
  int wake_scanner = -1;
  int wake_listener = -1;
  int wake_downloader = -1;
  int wake_supervisor = -1;
  int lock = -1;
  int listen = -1;  ///< -1: it doesn't get the listening socket
};

/// A process that was started and not reaped yet, with its lifeline.
///
/// The destructor kills and reaps it: no child outlives its owner.
class Child {
 public:
  /// Errors: the program can't be started.
  static Result<Child> spawn(const ChildPlan& plan);

  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }

  /// Readiness and death, and when something is to be done to it.
  void watch(PollSet& polls) const;
  std::uint64_t next_due_ms() const { return kill_at_ms_; }

  /// True once: the newline that says that it is ready has come.
  bool take_ready(const PollSet& polls);
  /// Its exit code, or 128 + signal, if it has ended. Never waits.
  std::optional<int> try_reap(const PollSet& polls);
  /// Closes its lifeline; from `kill_at_ms` on kill_if_due() kills it.
  void ask_to_leave(std::uint64_t kill_at_ms);
  bool leaving() const { return kill_at_ms_ != kNever; }
  void kill_if_due(std::uint64_t now_ms);
  void kill();

 private:
  Child(pid_t pid, UniqueFd pidfd, UniqueFd lifeline, UniqueFd ready);

  pid_t pid_ = 0;  ///< 0: reaped, or moved away
  UniqueFd pidfd_;
  UniqueFd lifeline_;  ///< write end; nothing once it is to leave
  UniqueFd ready_;     ///< read end; nothing once it has said so
  std::uint64_t kill_at_ms_ = kNever;
};

}  // namespace lefting::supervisor
