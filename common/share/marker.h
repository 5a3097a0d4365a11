#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/share/share.h"

namespace lefting::share {

/// The file in the share that says which index belongs to it. Its name ends like a partial file's,
/// so it is never listed, sent or accepted.
inline constexpr std::string_view kMarkerName = ".share.lefting";

/// True if the folder has a marker, whatever it names, or nobody can say.
bool has_marker(const Share& share);

/// Writes the marker: this folder is the share of the index `index_id` from now on.
Status write_marker(const Share& share, std::string_view index_id);

/// Errors: the marker is missing or names another index. Then the folder is not what the index
/// was made of (not mounted, emptied, another one), and its files must not be taken as deleted.
Status check_marker(const Share& share, std::string_view index_id);

}  // namespace lefting::share
