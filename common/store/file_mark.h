#pragma once

#include <cstdint>
#include <string>

namespace lefting::store {

/// What tells that a store's files were written to: compared, never read.
struct FileMark {
  std::uint64_t inode = 0;
  std::int64_t size_bytes = 0;
  std::int64_t changed_ns = 0;  ///< since 1970, as the file system stamps it
  std::int64_t log_bytes = 0;   ///< of the -wal; 0 where there is none
  std::int64_t log_changed_ns = 0;
  bool operator==(const FileMark&) const = default;
};
FileMark file_mark(const std::string& store_path);

}  // namespace lefting::store
