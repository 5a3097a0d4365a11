#include "scanner/watcher.h"

#include <fmt/core.h>

#include <cerrno>

#include "common/base/log.h"
#include "common/base/os.h"
#include "common/share/path.h"
#include "common/share/trash.h"

namespace lefting::scanner {

namespace {

constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE |
                                IN_DELETE | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr std::size_t kMostMovedAway = 1024;

}  // namespace

Watcher::Watcher() : inotify_{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)} {
  if (!inotify_) give_up(errno, "");
}

void Watcher::give_up(int errno_value, const std::string& folder) {
  if (!complete_) return;  // said once
  complete_ = false;
  const char* sysctl = errno_value == ENOSPC   ? "fs.inotify.max_user_watches"
                       : errno_value == EMFILE ? "fs.inotify.max_user_instances"
                                               : nullptr;
  if (sysctl != nullptr) {
    log_warning(
        "not every folder can be watched (\"{}\" was one too many); changes there are found by "
        "the regular traversal only. Raise {} with sysctl and restart the scanner",
        printable(folder), sysctl);
  } else {
    log_warning("watch \"{}\": {}; changes there are found by the regular traversal only",
                printable(folder), os_error(errno_value, "inotify").text());
  }
}

void Watcher::add(const std::string& folder, int fd) {
  if (!inotify_) return;
  // By descriptor, so that no symlink put in its way is followed.
  const std::string name = fmt::format("/proc/self/fd/{}", fd);
  const int watch = ::inotify_add_watch(inotify_.get(), name.c_str(), kMask);
  if (watch < 0) return give_up(errno, folder);
  if (const auto old = folders_.find(watch); old != folders_.end() && old->second != folder) {
    watches_.erase(old->second);
  }
  folders_[watch] = folder;
  watches_[folder] = watch;
}

void Watcher::forget_below(const std::string& folder) {
  const std::string prefix = folder + "/";
  for (auto it = watches_.lower_bound(folder); it != watches_.end();) {
    const bool below = it->first == folder || it->first.starts_with(prefix);
    if (!below && it->first > prefix && !it->first.starts_with(folder)) break;
    if (!below) {
      ++it;
      continue;
    }
    ::inotify_rm_watch(inotify_.get(), it->second);
    folders_.erase(it->second);
    it = watches_.erase(it);
  }
}

std::string Watcher::take_origin(const struct inotify_event& raw, const std::string& path) {
  if ((raw.mask & IN_MOVED_FROM) != 0) {
    if (moved_away_.size() >= kMostMovedAway) moved_away_.clear();  // they left the share
    moved_away_[raw.cookie] = path;
  }
  if ((raw.mask & IN_MOVED_TO) == 0) return {};
  auto origin = moved_away_.extract(raw.cookie);
  return origin.empty() ? std::string{} : std::move(origin.mapped());
}

void Watcher::take(const struct inotify_event& raw, std::vector<Event>& out) {
  if ((raw.mask & IN_Q_OVERFLOW) != 0) {
    log_warning(
        "inotify lost events; the whole share is looked at again. If this comes often, raise "
        "fs.inotify.max_queued_events with sysctl");
    out.push_back({Event::Kind::overflow, ""});
    return;
  }
  const auto folder = folders_.find(raw.wd);
  if (folder == folders_.end()) return;
  if ((raw.mask & IN_IGNORED) != 0) {
    watches_.erase(folder->second);
    folders_.erase(folder);
    return;
  }
  if (raw.len == 0 || share::is_partial_name(raw.name)) return;
  std::string path = share::join_path(folder->second, raw.name);
  if (share::is_in_trash(path)) return;
  std::string origin = take_origin(raw, path);
  if ((raw.mask & IN_ISDIR) == 0) {
    const bool made = (raw.mask & IN_CREATE) != 0;
    const auto kind = made ? Event::Kind::new_file : Event::Kind::file;
    out.push_back({kind, std::move(path), std::move(origin)});
  } else if ((raw.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    out.push_back({Event::Kind::folder, std::move(path), std::move(origin)});
  } else if ((raw.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    forget_below(path);
    out.push_back({Event::Kind::folder_gone, std::move(path)});
  } else if ((raw.mask & IN_ATTRIB) != 0) {
    out.push_back({Event::Kind::folder_changed, std::move(path)});
  }
}

std::vector<Event> Watcher::read() {
  std::vector<Event> out;
  alignas(struct inotify_event) char buffer[65536];
  for (;;) {
    const ssize_t n = retry_eintr([&] { return ::read(inotify_.get(), buffer, sizeof buffer); });
    if (n <= 0) return out;
    for (ssize_t at = 0; at < n;) {
      const auto& raw = *reinterpret_cast<const struct inotify_event*>(buffer + at);
      take(raw, out);
      at += static_cast<ssize_t>(sizeof raw + raw.len);
    }
  }
}

}  // namespace lefting::scanner
