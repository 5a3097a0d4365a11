#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/entry.h"

namespace lefting::sync {

// The loser of a conflict is kept beside the winner. Every peer that has it makes the same copy:
// the same name, content and version, so that it is one file for all, and removed once is removed.
// Source: docs/PROTOCOL.md, "Conflicts".

/// The name (last component) of the copy: STEM.conflict-YYYYMMDD-HHMMSS-DEVICE8.EXT. `distinct`
/// adds the content's hash, for the case that the plain name is taken by other content.
std::string conflict_name(const Entry& loser, bool distinct);
/// The path of the copy.
std::string conflict_path(const Entry& loser, bool distinct);

/// What such a path says.
struct CopyPath {
  std::string original;  ///< the path that was fought for, as far as its name found room
  ShortId device;        ///< who made the loser
};
/// Nothing where it is no copy by its name.
std::optional<CopyPath> parse_conflict_path(std::string_view path);

enum class CopyNeed {
  make,   ///< the loser gets that name, and `entry` is recorded
  none,   ///< it is there already, or somebody has removed it on purpose
  taken,  ///< other content has that name
};

struct Copy {
  CopyNeed need = CopyNeed::none;
  Entry entry;             ///< of make
  std::uint64_t base = 0;  ///< of make: the sequence of the record in whose place it is put
};

/// Plans the copy of `loser` at `path`, its conflict_path(). No I/O.
/// `record`: what is recorded of that path; null: nothing.
Copy plan_copy(const Entry& loser, const std::string& path, const Record* record);

}  // namespace lefting::sync
