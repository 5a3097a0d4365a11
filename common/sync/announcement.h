#pragma once

#include <string_view>

#include "common/base/entry.h"

namespace lefting::sync {

/// Whether a list that has no range of an index tells of a file before it is hashed.
bool is_announcement(const Entry& entry);

/// Whether `now`, which its source has recorded, is what was announced.
bool is_announced(const Entry& announced, const Entry& now);

/// In the place of the hash, where content that was announced has none yet: under this the store
/// has its manifest. `stamp`: of its version.
ContentHash announced_content(std::string_view path, const VersionCounter& stamp);

}  // namespace lefting::sync
