#include "scanner/announcer.h"

#include <unistd.h>

#include <algorithm>
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

bool Announcer::is_worth(const LargeFiles::Wish& wish) {
  if (wish.cuts && wish.stat.size > memory_bytes() / kCachedShare) return false;
  return instance_.peers.online_mask() != 0 && !is_unsettled(wish.path) &&
         !instance_.tickets.find(wish.path) && !may_be_copy(wish);
}

/// A copy has the sketch of what it is a copy of; one that says nothing may be anything's.
bool Announcer::may_be_copy(const LargeFiles::Wish& wish) {
  const std::uint64_t size = wish.stat.size;
  if (!instance_.store.has_size_besides(wish.path, size)) return false;
  if (!wish.sketch) return wish.cuts || instance_.store.has_unsketched(size);
  const auto& bases = wish.manifest.bases;
  return wish.sketch->empty() || std::ranges::find(bases, size, &Basis::size) != bases.end();
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
