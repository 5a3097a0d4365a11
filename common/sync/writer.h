#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/entry.h"

namespace lefting::sync {

// An index has a writer: the short ID that it puts into the versions it makes. Of a device's first
// index that is the device's own. An index that may have had a predecessor doesn't know what the
// predecessor said under that name, and must neither repeat nor outdo it: it has a name of its own,
// so that whatever it finds in the share is concurrent with what the peers have.
// Source: docs/PROTOCOL.md, "Versions".

/// The writer of an index that may have had a predecessor, or that has forgotten something.
/// `occasion`: on which the name was chosen; another for each.
ShortId successor_writer(const DeviceId& device, IndexId index, std::string_view occasion);

/// The version of a file that such an index finds and has no record of: as old as the file says
/// that it is, so that a stale one does not win its name against what others changed later.
VersionVector adopted_version(ShortId writer, std::int64_t mtime_ns, std::uint64_t now_ms);

}  // namespace lefting::sync
