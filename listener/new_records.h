#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "common/base/clock.h"

namespace lefting::listener {

/// Wakes sessions that wait for the scanner to record something. Any thread may call.
class NewRecords {
 public:
  /// The scanner has recorded something that a peer may wait for.
  void note() {
    {
      const std::lock_guard lock{mutex_};
      ++count_;
    }
    changed_.notify_all();
  }
  /// Nobody waits from now on.
  void end() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
  }
  std::uint64_t count() const {
    const std::lock_guard lock{mutex_};
    return count_;
  }
  /// Waits until there are more than `count`. False: there are not, and won't be until `deadline`.
  bool wait(std::uint64_t count, Deadline deadline) {
    std::unique_lock lock{mutex_};
    changed_.wait_until(lock, deadline, [&] { return ended_ || count_ > count; });
    return !ended_ && count_ > count;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
  bool ended_ = false;
};

}  // namespace lefting::listener
