#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/share/share.h"
#include "common/share/trash.h"

namespace lefting::downloader {

/// Large files of the trash by size and mtime: what was moved out of a share and comes back is in
/// the trash of the others. Any thread may call.
class TrashIndex {
 public:
  /// `share` must outlive it.
  explicit TrashIndex(const share::Share& share) : share_{share} {}

  /// Files that may have that content, as they were when the trash was listed; at most a few.
  std::vector<share::Trashed> find(std::uint64_t size_bytes, std::int64_t mtime_ns);

 private:
  void list();

  const share::Share& share_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::multimap<std::pair<std::uint64_t, std::int64_t>, share::Trashed> files_;
  std::int64_t changed_ns_ = 0;  ///< the trash's mtime when it was listed; 0: there was none
  Deadline next_{};              ///< it isn't listed again before
};

}  // namespace lefting::downloader
