#include "downloader/trash_index.h"

namespace lefting::downloader {

namespace {

/// A smaller one is not worth a look.
constexpr std::uint64_t kWorthFinding = 1u << 20;
constexpr std::size_t kMostFound = 4;
/// A trash that changes all the time is listed for one part in so many of the time at most.
constexpr int kPartsOfTime = 100;

}  // namespace

std::vector<share::Trashed> TrashIndex::find(std::uint64_t size_bytes, std::int64_t mtime_ns) {
  if (size_bytes < kWorthFinding) return {};
  const std::lock_guard lock{mutex_};
  list();
  std::vector<share::Trashed> found;
  auto [at, end] = files_.equal_range({size_bytes, mtime_ns});
  for (; at != end && found.size() < kMostFound; ++at) found.push_back(at->second);
  return found;
}

/// What comes into the trash does so in a new folder a second, so its mtime tells.
void TrashIndex::list() {
  const auto stat = share_.stat(share::kTrashName);
  const std::int64_t changed_ns = stat && stat.value() ? stat.value()->mtime_ns : 0;
  const Deadline begun = std::chrono::steady_clock::now();
  if (changed_ns == changed_ns_ || begun < next_) return;
  files_.clear();
  share::for_each_trashed(share_, [this](const share::Trashed& file) {
    if (file.stat.size < kWorthFinding) return;
    files_.emplace(std::pair{file.stat.size, file.stat.mtime_ns}, file);
  });
  changed_ns_ = changed_ns;
  next_ = begun + kPartsOfTime * (std::chrono::steady_clock::now() - begun);
}

}  // namespace lefting::downloader
