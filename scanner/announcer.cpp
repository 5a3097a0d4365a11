#include "scanner/announcer.h"

#include <unistd.h>

#include <utility>

#include "common/share/cut.h"
#include "common/sync/announcement.h"
#include "common/sync/version.h"

namespace lefting::scanner {

namespace {

/// What is at most one in so many parts of the memory is still in the page cache, most likely.
constexpr std::uint64_t kCachedShare = 8;

std::uint64_t memory_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Announcer::Announcer(Instance& instance, Tell tell) : instance_{instance}, tell_{std::move(tell)} {}

bool Announcer::is_worth(const std::string& path, const share::FileStat& stat, bool cuts) {
  if (cuts && stat.size > memory_bytes() / kCachedShare) return false;
  return instance_.peers.online_mask() != 0 && !is_unsettled(path) &&
         !instance_.tickets.find(path) && !instance_.store.has_size_besides(path, stat.size);
}

void Announcer::announce(const Entry& entry, const Manifest& manifest) {
  if (!manifest.blocks.empty()) {
    const ContentHash content =
        sync::announced_content(entry.path, sync::stamp_counter(entry.version));
    instance_.store.put_manifest(content, share::kCutRule, manifest);
  }
  tell_(entry);
}

void Announcer::note_settled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  unsettled_.erase(path);
}

void Announcer::note_unsettled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  unsettled_.insert(path);
}

bool Announcer::is_unsettled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  return unsettled_.contains(path);
}

}  // namespace lefting::scanner
