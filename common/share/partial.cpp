#include "common/share/partial.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/os.h"
#include "common/share/path.h"

namespace lefting::share {

namespace {

static_assert(kChangedMeanwhile == EBUSY);

Error changed(std::string_view path) {
  return os_error(kChangedMeanwhile, "keep", std::string{path},
                  "it was changed here meanwhile and is looked at again");
}

struct timespec to_timespec(std::int64_t ns) {
  std::int64_t seconds = ns / 1'000'000'000;
  std::int64_t rest = ns % 1'000'000'000;
  if (rest < 0) {
    --seconds;
    rest += 1'000'000'000;
  }
  return {.tv_sec = seconds, .tv_nsec = rest};
}

/// Without ctime: a rename has changed that.
bool same_but_ctime(const FileStat& a, const FileStat& b) {
  return a.type == b.type && a.size == b.size && a.mtime_ns == b.mtime_ns && a.inode == b.inode;
}

bool is_expected(const std::optional<FileStat>& now, const FileStat& expected) {
  return now && same_but_ctime(*now, expected) && now->ctime_ns == expected.ctime_ns;
}

int rename_at(const Place& place, const std::string& from, const std::string& to, unsigned flags) {
  const int folder = place.folder.get();
  return ::renameat2(folder, from.c_str(), folder, to.c_str(), flags);
}

/// Renames onto a free name only: EEXIST otherwise. 0 or -1, as rename.
int rename_to_free(const Place& place, const std::string& from, const std::string& to) {
  if (rename_at(place, from, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL) return -1;
  // A file system that can't look and rename in one step (NFS).
  const auto there = stat_at(place.folder.get(), to);
  if (!there || there.value()) {
    errno = there ? EEXIST : there.error().code.value();
    return -1;
  }
  return rename_at(place, from, to, 0);
}

/// What was moved away is not what was expected: `move`, which gives 0 or -1, gives it its name
/// again. Under the other it would be taken for a partial file, so this is not given up easily.
template <class Move>
Status give_back(std::string_view path, Move&& move) {
  constexpr int kMostTries = 5;
  for (int tries = 1; move() != 0; ++tries) {
    if (tries == kMostTries) return os_error(errno, "give back", std::string{path});
  }
  return changed(path);
}

Status reserve(int fd, std::uint64_t size_bytes) {
  const auto size = static_cast<off_t>(size_bytes);
  // One block is written at once anyhow; more is reserved, so that a full disk shows here.
  if (size_bytes > (1u << 20) && retry_eintr([&] { return ::fallocate(fd, 0, 0, size); }) == 0) {
    return {};
  }
  if (size_bytes > (1u << 20) && errno != EOPNOTSUPP) return os_error(errno, "reserve room");
  if (::ftruncate(fd, size) != 0) return os_error(errno, "set size");
  return {};
}

}  // namespace

PartialFile::PartialFile(std::string path, Place place, std::string partial, UniqueFd fd,
                         bool resumed, std::uint64_t size_bytes)
    : path_{std::move(path)},
      place_{std::move(place)},
      partial_{std::move(partial)},
      fd_{std::move(fd)},
      resumed_{resumed} {
  constexpr std::uint64_t kWorthDirect = 16u << 20;
  if (size_bytes < kWorthDirect) return;
  const std::string same = "/proc/self/fd/" + std::to_string(fd_.get());
  direct_ = UniqueFd{::open(same.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC)};  // or not
}

Result<PartialFile> PartialFile::open(const Share& share, std::string_view path,
                                      std::uint64_t size_bytes, bool resume) {
  auto place = share.place(path, true);
  if (!place) return place.error();
  const int folder = place.value().folder.get();
  const std::string partial = partial_name(place.value().name);
  const auto give = [&](UniqueFd fd, bool resumed) {
    return PartialFile{std::string{path}, place.take(), partial,
                       std::move(fd),     resumed,      size_bytes};
  };
  if (resume) {
    UniqueFd old{::openat(folder, partial.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    auto stat = old ? stat_fd(old.get()) : Result<FileStat>{os_error(errno, "open", partial)};
    if (stat && stat.value().type == FileType::file && stat.value().size == size_bytes) {
      return give(std::move(old), true);
    }
  }
  const auto create = [&] {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return UniqueFd{::openat(folder, partial.c_str(), kFlags, 0600)};
  };
  UniqueFd fd = create();
  if (!fd && errno == EEXIST) {  // of an older wish
    if (::unlinkat(folder, partial.c_str(), 0) != 0 && errno != ENOENT) {
      return os_error(errno, "remove old partial file of", std::string{path});
    }
    fd = create();
  }
  if (!fd) return os_error(errno, "create partial file of", std::string{path});
  if (auto reserved = reserve(fd.get(), size_bytes); !reserved) {
    ::unlinkat(folder, partial.c_str(), 0);
    share.prune(split_path(path).folder);
    return os_error(reserved.error().code.value(), reserved.error().operation, std::string{path});
  }
  return give(std::move(fd), false);
}

Status PartialFile::write(std::span<const std::byte> bytes, std::uint64_t offset) const {
  const bool is_aligned = offset % kDirectUnit == 0 &&
                          reinterpret_cast<std::uintptr_t>(bytes.data()) % kDirectUnit == 0;
  const std::size_t direct = direct_ && is_aligned ? bytes.size() / kDirectUnit * kDirectUnit : 0;
  if (direct != 0) {
    const auto done = pwrite_all(direct_.get(), bytes.first(direct), offset);
    if (done) return write(bytes.subspan(direct), offset + direct);
    // A file system that only seems to know it says EINVAL: then without.
    const int code = done.error().code.value();
    if (code != EINVAL) return os_error(code, "write", path_);
  }
  auto done = pwrite_all(fd_.get(), bytes, offset);
  if (!done) return os_error(done.error().code.value(), "write", path_);
  return {};
}

/// ext4 can't share blocks between files, as btrfs and XFS do, or let a server copy.
bool PartialFile::copies_through_cache() const {
  struct statfs system {};
  return direct_ && ::fstatfs(fd_.get(), &system) == 0 && system.f_type == EXT4_SUPER_MAGIC;
}

Status PartialFile::copy(int from, std::uint64_t from_offset, std::uint64_t length,
                         std::uint64_t offset) {
  auto in = static_cast<off_t>(from_offset);
  auto out = static_cast<off_t>(offset);
  while (length > 0) {
    const ssize_t n =
        retry_eintr([&] { return ::copy_file_range(from, &in, fd_.get(), &out, length, 0); });
    if (n < 0) return os_error(errno, "copy into", path_);
    if (n == 0) return os_error(kChangedMeanwhile, "copy into", path_);  // it was cut short
    length -= static_cast<std::uint64_t>(n);
  }
  return {};
}

Status PartialFile::finish(std::uint32_t mode, std::int64_t mtime_ns) {
  const struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, to_timespec(mtime_ns)};
  if (::fchmod(fd_.get(), mode) != 0) return os_error(errno, "set mode of", path_);
  if (::futimens(fd_.get(), times) != 0) return os_error(errno, "set mtime of", path_);
  return {};
}

void PartialFile::start_sync() const {
  // A hint only: sync_content waits for the data, whatever comes of this.
  ::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

Status PartialFile::sync_content() const {
  if (::fsync(fd_.get()) != 0) return os_error(errno, "fsync", path_);
  return {};
}

Status PartialFile::put_new() {
  if (rename_to_free(place_, partial_, place_.name) == 0) return {};
  if (errno != EEXIST) return os_error(errno, "rename", path_);
  // An empty folder is not recorded, so it gives way; with something in it, it doesn't.
  if (::unlinkat(place_.folder.get(), place_.name.c_str(), AT_REMOVEDIR) == 0) {
    if (rename_to_free(place_, partial_, place_.name) == 0) return {};
    return os_error(errno, "rename", path_);
  }
  if (errno == ENOTDIR) return changed(path_);
  return os_error(EISDIR, "rename", path_, "a folder of that name is in the way");
}

Status PartialFile::exchange(const FileStat& expected) {
  auto now = stat_at(place_.folder.get(), place_.name);
  if (!now) return now.error();
  if (!is_expected(now.value(), expected)) return changed(path_);
  if (rename_at(place_, partial_, place_.name, RENAME_EXCHANGE) != 0) {
    if (errno == ENOENT) return changed(path_);
    if (errno != EINVAL) return os_error(errno, "rename", path_);
    if (rename_at(place_, partial_, place_.name, 0) != 0) return os_error(errno, "rename", path_);
    return {};
  }
  // Between the look and the exchange somebody may still have written: then it goes back.
  auto old = stat_at(place_.folder.get(), partial_);
  if (!old || !old.value() || !same_but_ctime(*old.value(), expected)) {
    return give_back(path_,
                     [&] { return rename_at(place_, partial_, place_.name, RENAME_EXCHANGE); });
  }
  if (::unlinkat(place_.folder.get(), partial_.c_str(), 0) != 0) {
    return os_error(errno, "remove old version of", path_);
  }
  return {};
}

Result<FileStat> PartialFile::publish(const std::optional<FileStat>& expected) {
  auto done = expected ? exchange(*expected) : put_new();
  if (!done) return done.error();
  return stat_fd(fd_.get());
}

Status PartialFile::discard() {
  if (::unlinkat(place_.folder.get(), partial_.c_str(), 0) != 0 && errno != ENOENT) {
    return os_error(errno, "remove partial file of", path_);
  }
  return {};
}

Status sync_file_system(const Share& share) {
  if (::syncfs(share.fd()) != 0) return os_error(errno, "sync the file system of", share.folder());
  return {};
}

Status sync_folder(const Share& share, std::string_view folder) {
  auto fd = share.open_folder(folder);
  if (!fd) {
    const int code = fd.error().code.value();
    return code == ENOENT || code == ENOTDIR ? Status{} : Status{fd.error()};
  }
  if (::fsync(fd.value().get()) != 0) return os_error(errno, "fsync folder", std::string{folder});
  return share.sync_new_folders();
}

Status discard_partial(const Share& share, std::string_view path) {
  auto place = share.place(path, false);
  if (!place) {
    const int code = place.error().code.value();
    // Nothing was put beyond a mount or a symlink.
    const bool no_folder = code == ENOENT || code == ENOTDIR || code == EXDEV || code == ELOOP;
    return no_folder ? Status{} : Status{place.error()};
  }
  const std::string partial = partial_name(place.value().name);
  if (::unlinkat(place.value().folder.get(), partial.c_str(), 0) == 0) {
    share.prune(split_path(path).folder);
    return {};
  }
  if (errno == ENOENT) return {};
  return os_error(errno, "remove partial file of", std::string{path});
}

namespace {

/// Gives an expected file another name in its folder; if it proves to be another, the old one.
Status move_away(const Place& place, std::string_view path, const FileStat& expected,
                 const std::string& to) {
  auto now = stat_at(place.folder.get(), place.name);
  if (!now) return now.error();
  if (!is_expected(now.value(), expected)) return changed(path);
  if (rename_to_free(place, place.name, to) != 0) {
    return os_error(errno, "rename", std::string{path});
  }
  auto moved = stat_at(place.folder.get(), to);
  if (moved && moved.value() && same_but_ctime(*moved.value(), expected)) return {};
  return give_back(path, [&] { return rename_to_free(place, to, place.name); });
}

}  // namespace

Status remove_file(const Share& share, std::string_view path, const FileStat& expected) {
  auto place = share.place(path, false);
  if (!place) return place.error();
  const Place& here = place.value();
  const std::string aside = partial_name(here.name);
  if (::unlinkat(here.folder.get(), aside.c_str(), 0) != 0 && errno != ENOENT) {
    return os_error(errno, "remove partial file of", std::string{path});
  }
  if (auto moved = move_away(here, path, expected, aside); !moved) return moved;
  if (::unlinkat(here.folder.get(), aside.c_str(), 0) != 0) {
    return os_error(errno, "remove", std::string{path});
  }
  return {};
}

Result<FileStat> link_file(const Share& share, std::string_view path, const FileStat& expected,
                           std::string_view second_path) {
  auto place = share.place(path, false);
  if (!place) return place.error();
  const int folder = place.value().folder.get();
  const std::string& name = place.value().name;
  auto now = stat_at(folder, name);
  if (!now) return now.error();
  if (!is_expected(now.value(), expected)) return changed(path);
  const auto second = share.place(second_path, true);
  if (!second) return second.error();
  if (::linkat(folder, name.c_str(), second.value().folder.get(), second.value().name.c_str(), 0) !=
      0) {
    return os_error(errno, "link", std::string{path});
  }
  now = stat_at(folder, name);
  if (!now) return now.error();
  if (!now.value() || !same_but_ctime(*now.value(), expected)) return changed(path);
  return *now.value();
}

Result<FileStat> move_file(const Share& share, std::string_view path, const FileStat& expected,
                           std::string_view to_path) {
  const auto from = share.place(path, false);
  if (!from) return from.error();
  const auto to = share.place(to_path, true);
  if (!to) return to.error();
  const auto move = [](const Place& source, const Place& target) {
    return ::renameat2(source.folder.get(), source.name.c_str(), target.folder.get(),
                       target.name.c_str(), RENAME_NOREPLACE);
  };
  auto now = stat_at(from.value().folder.get(), from.value().name);
  if (!now) return now.error();
  if (!is_expected(now.value(), expected)) return changed(path);
  if (move(from.value(), to.value()) != 0) return os_error(errno, "rename", std::string{path});
  auto moved = stat_at(to.value().folder.get(), to.value().name);
  if (moved && moved.value() && same_but_ctime(*moved.value(), expected)) return *moved.value();
  return give_back(path, [&] { return move(to.value(), from.value()); }).error();
}

Result<FileStat> set_metadata(const Share& share, std::string_view path, const FileStat& expected,
                              std::uint32_t mode, std::int64_t mtime_ns) {
  auto fd = share.open_file(path);
  if (!fd) return fd.error();
  auto now = stat_fd(fd.value().get());
  if (!now) return now.error();
  if (!is_expected(now.value(), expected)) return changed(path);
  if (now.value().mode == mode && now.value().mtime_ns == mtime_ns) return now.value();
  const struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, to_timespec(mtime_ns)};
  if (::fchmod(fd.value().get(), mode) != 0)
    return os_error(errno, "set mode of", std::string{path});
  if (::futimens(fd.value().get(), times) != 0) {
    return os_error(errno, "set mtime of", std::string{path});
  }
  return stat_fd(fd.value().get());
}

}  // namespace lefting::share
