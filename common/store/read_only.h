#pragma once

// For the .cpp files of this room.

#include <string>

#include "common/store/database.h"

namespace lefting::store {

/// Opens a store that is there, for reading. Throws StoreError: as Store's constructor.
Handle open_to_read(const std::string& path, Access access);

/// True if the file was opened as one that nobody changes: without a lock, and without a look at
/// what may lie in a -wal.
bool is_immutable(sqlite3* database);

}  // namespace lefting::store
