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
/// What such a name says.
struct CopyName {
  std::string original;  ///< the name that was fought for, as far as it found room
  ShortId device;        ///< who made the loser
};
std::optional<CopyName> parse_conflict_name(std::string_view name);
/// The path whose loser `path` is a copy of by its name; empty: it is no copy.
std::string original_path(const std::string& path);
/// The path of the copy.
std::string conflict_path(const Entry& loser, bool distinct);

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
