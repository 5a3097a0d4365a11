#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace lefting::share {

enum class FileType { file, folder, other };

/// What lstat says of a path, as far as it matters here.
struct FileStat {
  FileType type = FileType::other;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint64_t inode = 0;
  std::uint32_t mode = 0;  ///< permission bits, 0 to 0777
  bool operator==(const FileStat&) const = default;
};
FileStat to_file_stat(const struct stat& raw);
Result<FileStat> stat_fd(int fd);

/// True if this is the file that the record was made of, untouched since: size, mtime, ctime,
/// inode.
bool is_unchanged(const FileStat& stat, const Record& record);

/// A name in an open folder: what rename, unlink and the like need.
struct Place {
  UniqueFd folder;
  std::string name;
};
/// Nothing where the name isn't there. Symlinks are not followed: they are FileType::other.
Result<std::optional<FileStat>> stat_at(int folder_fd, const std::string& name);

/// The share folder, held open. Every path is opened beneath it, through no symlink and across no
/// mount point (openat2), so no name that a peer sends, and no symlink that is put there meanwhile,
/// leads out of it. Errors of a path that does: ELOOP, EXDEV. Any thread may call any function.
class Share {
 public:
  static Result<Share> open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  int fd() const { return fd_.get(); }
  /// Errors: the folder is gone, or another one (another file system) is in its place.
  Status check() const;

  /// `path` "" is the share itself.
  Result<UniqueFd> open_folder(std::string_view path) const;
  /// Opens a regular file to be read; anything else is an error (ELOOP for symlinks).
  Result<UniqueFd> open_file(std::string_view path) const;
  /// Nothing where the path, or a folder on its way, isn't there.
  Result<std::optional<FileStat>> stat(std::string_view path) const;
  /// The place of a path; `create` makes the folders on its way, which are on disk after
  /// sync_new_folders().
  Result<Place> place(std::string_view path, bool create) const;
  /// Puts on disk the folders that this object has made, whoever of its callers needed them.
  Status sync_new_folders() const;
  /// Removes `folder` and those above it as long as they are empty. The share itself stays.
  void prune(std::string_view folder) const;

 private:
  Share(std::string folder, UniqueFd fd, std::uint64_t device, std::uint64_t inode);
  Result<UniqueFd> open_beneath(std::string_view path, int flags) const;
  Result<UniqueFd> make_folder(std::string_view path) const;
  Status sync_parents() const;

  /// A folder is found by others as soon as it is made, so it is theirs too to put on disk.
  struct NewFolders {
    std::mutex mutex;
    std::map<std::string, UniqueFd, std::less<>> parents;  ///< those in which one was made
  };

  std::string folder_;
  UniqueFd fd_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::unique_ptr<NewFolders> new_folders_ = std::make_unique<NewFolders>();
};

}  // namespace lefting::share
