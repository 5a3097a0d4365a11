#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/share/share.h"

namespace lefting::share {

/// Why a name was not given: what stands there is not what was expected. Code: EBUSY.
inline constexpr int kChangedMeanwhile = 16;
/// What O_DIRECT needs at most, in bytes.
inline constexpr std::size_t kDirectUnit = 4096;

/// A file on its way: NAME.lefting beside its place, of full size from the start.
///
/// The order is: write, finish, sync_content, publish, sync_folder. Only then may anybody be told
/// that the file is here. Not published, it stays for a later resume; discard() takes it away.
class PartialFile {
 public:
  /// Opens the one that is there where `resume` says so and its size is right, or makes it.
  /// Errors: ENOSPC (nothing is left behind then), and whatever opening brings.
  static Result<PartialFile> open(const Share& share, std::string_view path,
                                  std::uint64_t size_bytes, bool resume);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  /// True if what was there could be taken up: done blocks still hold.
  bool resumed() const { return resumed_; }

  /// Of a large file what is aligned to kDirectUnit, in memory and in the file, goes past the page
  /// cache: copying it there would cost more than all else that is done with it. Several threads
  /// may write at once.
  Status write(std::span<const std::byte> bytes, std::uint64_t offset) const;
  /// Whether copy() would put all through the page cache, so that to read and to write() costs
  /// less.
  bool copies_through_cache() const;
  /// Copies bytes of another file, without reading them where the system can do that.
  Status copy(int from, std::uint64_t from_offset, std::uint64_t length, std::uint64_t offset);
  /// Sets permission bits and mtime; nothing may be written after.
  Status finish(std::uint32_t mode, std::int64_t mtime_ns);
  /// Begins to write back, so that a wave of sync_content waits for the disk only once.
  void start_sync() const;
  Status sync_content() const;

  /// Gives the file its name. `expected` is what must stand there now: nothing, or a file with
  /// this size, mtime, ctime and inode. What stood there is gone after that.
  /// Returns   the file's stat under its name.
  /// Errors    kChangedMeanwhile: something else stands there, nothing is changed.
  Result<FileStat> publish(const std::optional<FileStat>& expected);

  Status discard();

 private:
  PartialFile(std::string path, Place place, std::string partial, UniqueFd fd, bool resumed,
              std::uint64_t size_bytes);
  Status put_new();
  Status exchange(const FileStat& expected);

  std::string path_;
  Place place_;
  std::string partial_;
  UniqueFd fd_;
  UniqueFd direct_;  ///< of the same file, with O_DIRECT; empty: not used
  bool resumed_ = false;
};

/// Removes the partial file of `path`, if there is one.
Status discard_partial(const Share& share, std::string_view path);

/// Puts on disk all that was written to the share's file system: one wait instead of one for each
/// file, where little else was written to it.
Status sync_file_system(const Share& share);

/// Puts on disk what was renamed or removed in a folder, and the way to it; one that is gone needs
/// nothing.
Status sync_folder(const Share& share, std::string_view folder);

/// Removes a file that must be `expected` (size, mtime, ctime, inode); sync_folder is up to the
/// caller, here and in the next two. Errors: kChangedMeanwhile: it is another now, and stays.
Status remove_file(const Share& share, std::string_view path, const FileStat& expected);

/// Gives a file a second path (EEXIST: taken), whose folders are made; it must be `expected`. The
/// first never vanishes meanwhile. Returns its stat after that: a link changes ctime.
Result<FileStat> link_file(const Share& share, std::string_view path, const FileStat& expected,
                           std::string_view second_path);

/// Gives a file, which must be `expected`, another path, whose folders are made: a free one
/// (EEXIST otherwise). Returns its stat under it.
Result<FileStat> move_file(const Share& share, std::string_view path, const FileStat& expected,
                           std::string_view to_path);

/// Sets permission bits and mtime of a file that must be `expected`. Returns its stat after that.
Result<FileStat> set_metadata(const Share& share, std::string_view path, const FileStat& expected,
                              std::uint32_t mode, std::int64_t mtime_ns);

}  // namespace lefting::share
