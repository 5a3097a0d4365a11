#include "common/share/trash.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <vector>

#include "common/share/partial.h"
#include "common/share/path.h"
#include "common/share/traverse.h"

namespace lefting::share {

namespace {

/// So many versions of one path may go within one second.
constexpr int kMostASecond = 100;

std::string time_name(std::uint64_t now_ms) {
  const std::time_t time = static_cast<std::time_t>(now_ms / 1000);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string trash_path_of(std::string_view time, std::string_view path) {
  return fmt::format("{}/{}/{}", kTrashName, time, path);
}

}  // namespace

bool is_in_trash(std::string_view path) {
  return path.starts_with(kTrashName) &&
         (path.size() == kTrashName.size() || path[kTrashName.size()] == '/');
}

std::string Trashed::trash_path() const { return trash_path_of(time, path); }

Result<FileStat> put_into_trash(const Share& share, std::string_view path, const FileStat& expected,
                                std::uint64_t now_ms) {
  const std::string time = time_name(now_ms);
  for (int i = 1;; ++i) {
    const std::string name = i == 1 ? time : fmt::format("{}-{}", time, i);
    auto linked = link_file(share, path, expected, trash_path_of(name, path));
    if (linked || linked.error().code.value() == kChangedMeanwhile) return linked;
    const int code = linked.error().code.value();
    if (code == EEXIST && i < kMostASecond) continue;
    return os_error(code, "put into the trash", std::string{path},
                    "or switch it off: trash = false");
  }
}

void for_each_trashed(const Share& share, const std::function<void(const Trashed&)>& emit) {
  const std::string root{kTrashName};
  Visitor visitor;
  visitor.trouble = [](const Error&, const std::string&) {};
  visitor.file = [&](const std::string& trash_path, const FileStat& stat) {
    const std::string_view below = std::string_view{trash_path}.substr(root.size() + 1);
    const auto slash = below.find('/');
    if (slash == below.npos) return true;  // not ours
    emit({.time = std::string{below.substr(0, slash)},
          .path = std::string{below.substr(slash + 1)},
          .stat = stat});
    return true;
  };
  traverse(share, root, visitor);
}

Status remove_trashed(const Share& share, const Trashed& trashed) {
  const std::string path = trashed.trash_path();
  const auto place = share.place(path, false);
  if (!place) return place.error();
  if (::unlinkat(place.value().folder.get(), place.value().name.c_str(), 0) != 0) {
    return os_error(errno, "remove from the trash", path);
  }
  share.prune(split_path(path).folder);
  return {};
}

TrashCount purge_trash(const Share& share, const TrashLimits& limits, std::uint64_t now_ms) {
  std::vector<Trashed> all;
  std::uint64_t bytes = 0;
  for_each_trashed(share, [&](const Trashed& trashed) {
    all.push_back(trashed);
    bytes += trashed.stat.size;
  });
  if (all.empty()) return {};
  struct statvfs disk {};
  if (::fstatvfs(share.fd(), &disk) != 0) return {};
  const std::uint64_t disk_bytes = std::uint64_t{disk.f_blocks} * disk.f_frsize;
  const std::uint64_t most = disk_bytes / 100 * limits.percent;
  const std::uint64_t age_ms = limits.days * 24 * 3600 * 1000;
  const std::string oldest = time_name(now_ms > age_ms ? now_ms - age_ms : 0);
  std::ranges::sort(all, {}, &Trashed::time);
  TrashCount removed;
  for (const Trashed& trashed : all) {
    if (trashed.time >= oldest && bytes <= most) break;
    if (!remove_trashed(share, trashed)) continue;
    bytes -= trashed.stat.size;
    removed.bytes += trashed.stat.size;
    ++removed.files;
  }
  return removed;
}

Status restore_trashed(const Share& share, const Trashed& trashed, std::uint64_t now_ms) {
  const auto from = share.place(trashed.trash_path(), false);
  if (!from) return from.error();
  const auto to = share.place(trashed.path, true);
  if (!to) return to.error();
  const auto there = stat_at(to.value().folder.get(), to.value().name);
  if (!there) return there.error();
  if (there.value()) {
    if (there.value()->type != FileType::file) {
      return os_error(EEXIST, "restore", trashed.path, "move away what stands there");
    }
    auto kept = put_into_trash(share, trashed.path, *there.value(), now_ms);
    if (!kept) return kept.error();
  }
  if (::renameat(from.value().folder.get(), from.value().name.c_str(), to.value().folder.get(),
                 to.value().name.c_str()) != 0) {
    return os_error(errno, "restore", trashed.path);
  }
  share.prune(split_path(trashed.trash_path()).folder);
  return sync_folder(share, split_path(trashed.path).folder);
}

}  // namespace lefting::share
