#pragma once

#include <string>
#include <string_view>

#include "common/base/entry.h"
#include "common/store/sqlite.h"

namespace lefting::store {

/// How values stand in columns. A version vector is a blob: 16 bytes for each device, its 8
/// characters and its counter, big-endian, in their order.
std::string encode_version(const VersionVector& version);
VersionVector decode_version(std::string_view blob);

/// Binds size, mtime, mode, deleted, hash, version at `first` and after. `version_blob` must live
/// until the statement is reset.
void bind_entry(Statement& statement, int first, const Entry& entry,
                const std::string& version_blob);
/// Reads the same columns, and `path` before them.
Entry read_entry(const Statement& statement, int first);

}  // namespace lefting::store
