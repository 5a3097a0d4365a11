#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/entry.h"
#include "common/share/share.h"

namespace lefting::sync {

// What the scanner's finds become: records of this index. No I/O.

/// Who finds, and when.
struct Finder {
  ShortId writer;  ///< of this index
  /// Set: what has no record may be older than what peers have, and is found under this name.
  std::optional<ShortId> adopter = std::nullopt;
  std::uint64_t now_ms = 0;
  /// The highest counter of this writer in a version that is forgotten.
  std::uint64_t forgotten = 0;
};

/// Which hashes recorded_hash() needs of a file of `size` bytes: that of `kind`, and where it may
/// be what is known that one's, too.
HashKinds kinds_to_record(const Record* known, std::uint64_t size, HashKind kind);

/// With which of its hashes a content is recorded: that of what is known, where it is that content;
/// else one of `kind`, if it was made.
ContentHash recorded_hash(const ContentHashes& hashes, const Record* known, HashKind kind);

/// The record of a file that stands at `path`. Without `hash`: what it will be once it is hashed.
/// `known`: what is recorded of the path; null: nothing. Where the file is what that says it keeps
/// its version: another inode or ctime is no news to anybody.
Record found_file(const Record* known, const std::string& path, const share::FileStat& stat,
                  const std::optional<ContentHash>& hash, const Finder& finder);

/// The record of a path at which no file stands; nothing where none was known to.
std::optional<Record> found_missing(const Record* known, const Finder& finder);

}  // namespace lefting::sync
