#include "downloader/purger.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/trash.h"

namespace lefting::downloader {

namespace {

constexpr std::chrono::hours kPause{1};

}  // namespace

Purger::Purger(const Instance& instance, const share::Share& share)
    : instance_{instance}, share_{share}, thread_{[this] { run(); }} {}

Purger::~Purger() {
  {
    const std::lock_guard lock{mutex_};
    leave_ = true;
  }
  changed_.notify_all();
}

void Purger::run() {
  std::unique_lock lock{mutex_};
  while (!leave_) {
    lock.unlock();
    purge();
    lock.lock();
    changed_.wait_for(lock, kPause, [this] { return leave_; });
  }
}

void Purger::purge() const {
  const share::TrashLimits limits{.days = instance_.settings.trash_days,
                                  .percent = instance_.settings.trash_percent};
  const share::TrashCount removed = share::purge_trash(share_, limits, wall_ms());
  if (removed.files == 0) return;
  log_info("{} files ({} bytes) were too old or too many for the trash, and are removed from it",
           removed.files, removed.bytes);
}

}  // namespace lefting::downloader
