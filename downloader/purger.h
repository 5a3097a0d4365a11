#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/role/role.h"
#include "common/share/share.h"

namespace lefting::downloader {

/// Keeps the trash within its limits: at the start, and once an hour. On a thread of its own, since
/// it looks at all that is in it.
class Purger {
 public:
  /// Both must outlive it.
  Purger(const Instance& instance, const share::Share& share);
  ~Purger();

 private:
  void run();
  void purge() const;

  const Instance& instance_;
  const share::Share& share_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool leave_ = false;   ///< guarded by mutex_
  std::jthread thread_;  // last: it uses the others
};

}  // namespace lefting::downloader
