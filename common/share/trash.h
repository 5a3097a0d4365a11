#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/share/share.h"

namespace lefting::share {

// The trash of a share: `.lefting-trash/YYYYMMDD-HHMMSS/PATH` is what stood at PATH until then
// (UTC), when the change of a peer overwrote or removed it. It is never listed, served or accepted.

inline constexpr std::string_view kTrashName = ".lefting-trash";

/// True of the trash itself and of all in it.
bool is_in_trash(std::string_view path);

/// A file in the trash.
struct Trashed {
  std::string time;  ///< the name of its folder: YYYYMMDD-HHMMSS, perhaps with -2, -3, … behind
  std::string path;  ///< where it was
  FileStat stat;
  /// Where it is now.
  std::string trash_path() const;
};

/// Links the file at `path`, which must be `expected`, into the trash. Its first name stays.
/// Returns  what it says after that.
/// Errors   kChangedMeanwhile; EPERM: the file system has no links; no space and the like.
Result<FileStat> put_into_trash(const Share& share, std::string_view path, const FileStat& expected,
                                std::uint64_t now_ms);

/// Calls `emit` for each file in the trash, in no order. Errors on one are passed over.
void for_each_trashed(const Share& share, const std::function<void(const Trashed&)>& emit);

/// Removes one, and the folders that are empty without it.
Status remove_trashed(const Share& share, const Trashed& trashed);

/// What the trash may hold.
struct TrashLimits {
  std::uint64_t days = 30;
  std::uint64_t percent = 10;  ///< of the file system
};
struct TrashCount {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};
/// Removes what is too old, and of the rest the oldest until it is within the limits. Returns what
/// it has removed.
TrashCount purge_trash(const Share& share, const TrashLimits& limits, std::uint64_t now_ms);

/// Puts a file from the trash back to its path; what stands there goes into the trash.
Status restore_trashed(const Share& share, const Trashed& trashed, std::uint64_t now_ms);

}  // namespace lefting::share
