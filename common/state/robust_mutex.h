#pragma once

#include <pthread.h>

#include "common/base/clock.h"

namespace lefting::state {

/// The longest that anybody may hold a lock of the segment: beyond it something is broken.
inline constexpr milliseconds kLockWait{10'000};

/// A mutex in shared memory that outlives the death of its holder.
///
/// Whoever gets it after a death gets it as if it were free: what it guards must say by itself
/// whether a change was cut short (guard.h). Not recursive.
class RobustMutex {
 public:
  RobustMutex();  // throws std::system_error
  RobustMutex(const RobustMutex&) = delete;
  RobustMutex& operator=(const RobustMutex&) = delete;

  /// Throws std::system_error where nobody let go for `most`: a bug, not a reason to hang.
  void lock_within(milliseconds most);
  void lock() { lock_within(kLockWait); }
  void unlock();

 private:
  pthread_mutex_t mutex_;
};

}  // namespace lefting::state
