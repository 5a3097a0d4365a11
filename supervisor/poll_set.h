#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "common/base/os.h"

namespace lefting::supervisor {

/// What one turn of the loop waits for, made anew for each turn: there are few descriptors, and
/// nobody has to remember to take a closed one out.
class PollSet {
 public:
  void clear() { fds_.clear(); }
  void watch(int fd, short events) { fds_.push_back({fd, events, 0}); }
  /// Waits up to `timeout_ms` (-1: for ever).
  void wait(int timeout_ms) { poll_fds(fds_, timeout_ms); }
  /// What has happened at `fd`; 0 where it was not watched. May be late by one closed descriptor:
  /// so read without blocking.
  short events(int fd) const {
    const auto found = std::ranges::find(fds_, fd, &pollfd::fd);
    return found == fds_.end() ? short{0} : found->revents;
  }

 private:
  std::vector<pollfd> fds_;
};

}  // namespace lefting::supervisor
