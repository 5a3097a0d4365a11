#include "common/share/share.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <utility>

#include "common/base/os.h"
#include "common/share/path.h"

namespace lefting::share {

namespace {

// PATH_MAX is 4096 with the NUL; a path may have 4096 bytes without it.
constexpr std::size_t kLongestCall = 4000;
/// Each is held open.
constexpr std::size_t kMostParents = 64;

std::int64_t nanoseconds(const struct timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// A mounted folder would vanish with all its files when it is unmounted, and nothing can be
/// renamed into it.
Error not_opened(int errno_value, std::string_view path) {
  return os_error(errno_value, "open", std::string{path},
                  errno_value == EXDEV ? "something is mounted there, and a share is one file "
                                         "system: name it in .leftingignore, or mount it elsewhere"
                                       : "");
}

int openat2_beneath(int folder_fd, const std::string& path, int flags) {
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(retry_eintr(
      [&] { return ::syscall(SYS_openat2, folder_fd, path.c_str(), &how, sizeof how); }));
}

}  // namespace

FileStat to_file_stat(const struct stat& raw) {
  FileStat out;
  out.type = S_ISREG(raw.st_mode)   ? FileType::file
             : S_ISDIR(raw.st_mode) ? FileType::folder
                                    : FileType::other;
  out.size = static_cast<std::uint64_t>(raw.st_size);
  out.mtime_ns = nanoseconds(raw.st_mtim);
  out.ctime_ns = nanoseconds(raw.st_ctim);
  out.inode = raw.st_ino;
  out.mode = raw.st_mode & 0777;
  return out;
}

bool is_unchanged(const FileStat& stat, const Record& record) {
  return stat.type == FileType::file && !record.entry.deleted && stat.size == record.entry.size &&
         stat.mtime_ns == record.entry.mtime_ns && stat.ctime_ns == record.ctime_ns &&
         stat.inode == record.inode;
}

Result<FileStat> stat_fd(int fd) {
  struct stat raw;
  if (::fstat(fd, &raw) != 0) return os_error(errno, "stat");
  return to_file_stat(raw);
}

Result<std::optional<FileStat>> stat_at(int folder_fd, const std::string& name) {
  struct stat raw;
  if (::fstatat(folder_fd, name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::optional{to_file_stat(raw)};
  }
  if (errno == ENOENT) return std::optional<FileStat>{};
  return os_error(errno, "stat", name);
}

Share::Share(std::string folder, UniqueFd fd, std::uint64_t device, std::uint64_t inode)
    : folder_{std::move(folder)}, fd_{std::move(fd)}, device_{device}, inode_{inode} {}

Result<Share> Share::open(const std::string& folder) {
  UniqueFd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd) return os_error(errno, "open share", folder, "is --share right, and is it mounted?");
  struct stat raw;
  if (::fstat(fd.get(), &raw) != 0) return os_error(errno, "stat share", folder);
  return Share{folder, std::move(fd), raw.st_dev, raw.st_ino};
}

Status Share::check() const {
  struct stat raw;
  if (::stat(folder_.c_str(), &raw) != 0) {
    return os_error(errno, "look at share", folder_,
                    "nothing is taken as deleted; put the folder back or mount it again");
  }
  if (raw.st_dev != device_ || raw.st_ino != inode_) {
    return plain_error("share \"" + folder_ + "\"",
                       "another folder is in its place now; nothing is taken as deleted",
                       "put the old one back, or restart with `supervisor stop` and `start`");
  }
  return {};
}

Result<UniqueFd> Share::open_beneath(std::string_view path, int flags) const {
  UniqueFd base;
  int base_fd = fd_.get();
  std::string_view rest = path.empty() ? "." : path;
  while (rest.size() > kLongestCall) {
    const auto slash = rest.rfind('/', kLongestCall);
    if (slash == rest.npos) return os_error(ENAMETOOLONG, "open", std::string{path});
    UniqueFd next{
        openat2_beneath(base_fd, std::string{rest.substr(0, slash)}, O_PATH | O_DIRECTORY)};
    if (!next) return not_opened(errno, path);
    base = std::move(next);
    base_fd = base.get();
    rest.remove_prefix(slash + 1);
  }
  UniqueFd fd{openat2_beneath(base_fd, std::string{rest}, flags)};
  if (!fd) return not_opened(errno, path);
  return fd;
}

Result<UniqueFd> Share::open_folder(std::string_view path) const {
  return open_beneath(path, O_RDONLY | O_DIRECTORY);
}

Result<UniqueFd> Share::open_file(std::string_view path) const {
  // O_NONBLOCK: a FIFO must not hold us until somebody writes to it.
  auto fd = open_beneath(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!fd) return fd;
  auto stat = stat_fd(fd.value().get());
  if (!stat) return stat.error();
  if (stat.value().type == FileType::folder) return os_error(EISDIR, "open", std::string{path});
  if (stat.value().type != FileType::file) return os_error(ELOOP, "open", std::string{path});
  return fd;
}

Result<std::optional<FileStat>> Share::stat(std::string_view path) const {
  auto fd = open_beneath(path, O_PATH | O_NOFOLLOW);
  if (!fd) {
    const int code = fd.error().code.value();
    if (code == ENOENT || code == ENOTDIR) return std::optional<FileStat>{};
    return fd.error();
  }
  auto stat = stat_fd(fd.value().get());
  if (!stat) return stat.error();
  return std::optional{stat.value()};
}

Result<UniqueFd> Share::make_folder(std::string_view path) const {
  if (auto fd = open_folder(path); fd || fd.error().code.value() != ENOENT) return fd;
  const auto [above, name] = split_path(path);
  auto parent = make_folder(above);
  if (!parent) return parent;
  const std::lock_guard lock{new_folders_->mutex};
  if (::mkdirat(parent.value().get(), std::string{name}.c_str(), 0777) != 0 && errno != EEXIST) {
    return os_error(errno, "create folder", std::string{path});
  }
  auto made = open_folder(path);
  // Instead of one that had this name before, and is gone.
  new_folders_->parents.insert_or_assign(std::string{above}, parent.take());
  if (new_folders_->parents.size() < kMostParents) return made;
  if (auto synced = sync_parents(); !synced) return synced.error();
  return made;
}

Status Share::sync_new_folders() const {
  const std::lock_guard lock{new_folders_->mutex};
  return sync_parents();
}

/// The mutex is held. What can't be synced is an error once: it stops nobody else.
Status Share::sync_parents() const {
  Status synced;
  for (const auto& [path, fd] : new_folders_->parents) {
    if (::fsync(fd.get()) != 0) synced = os_error(errno, "fsync folder", path);
  }
  new_folders_->parents.clear();
  return synced;
}

Result<Place> Share::place(std::string_view path, bool create) const {
  const auto [folder, name] = split_path(path);
  auto fd = create ? make_folder(folder) : open_folder(folder);
  if (!fd) return fd.error();
  return Place{fd.take(), std::string{name}};
}

void Share::prune(std::string_view folder) const {
  while (!folder.empty()) {
    auto here = place(folder, false);
    if (!here ||
        ::unlinkat(here.value().folder.get(), here.value().name.c_str(), AT_REMOVEDIR) != 0) {
      return;
    }
    folder = split_path(folder).folder;
  }
}

}  // namespace lefting::share
