#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/share/share.h"

namespace lefting::share {

/// What a traversal tells.
struct Visitor {
  /// A regular file. False ends the traversal.
  std::function<bool(const std::string& path, const FileStat& stat)> file;
  /// Whether a folder below `from` is to be entered; may be empty.
  std::function<bool(const std::string& path)> enters;
  /// A folder, opened, before what is in it is read; "" is the share itself; may be empty.
  std::function<void(const std::string& path, int fd)> folder;
  /// Something that is never synced: a symlink, device, socket, FIFO, folder with a reserved name;
  /// may be empty.
  std::function<void(const std::string& path)> skipped;
  /// Something that could not be read, in `folder` or it; the traversal goes on.
  std::function<void(const Error& error, const std::string& folder)> trouble;
  /// The partial file of `path`, if it is one: a file with a reserved name; may be empty.
  std::function<void(const std::string& path)> partial;
};

struct TraversalCounts {
  std::uint64_t files = 0;
  std::uint64_t folders = 0;
  std::uint64_t skipped = 0;     ///< symlinks, devices, sockets, FIFOs, folders with reserved names
  std::uint64_t unreadable = 0;  ///< each was told to `trouble`
};

/// Visits every regular file below `from` ("" is the whole share), hidden ones included, but
/// for the trash, unless it is `from`. Symlinks and mounted folders are never entered. Needs memory
/// for one folder's names and for the folders still to come.
TraversalCounts traverse(const Share& share, const std::string& from, const Visitor& visitor);

}  // namespace lefting::share
