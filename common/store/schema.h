#pragma once

struct sqlite3;

namespace lefting::store {

/// The store's version, in PRAGMA user_version. A store of a newer version is refused.
inline constexpr int kSchemaVersion = 1;
/// "LEFT": in PRAGMA application_id, so that a foreign database is noticed.
inline constexpr int kApplicationId = 0x4c454654;

/// Makes the tables in an empty database, brings an older one up to date, refuses others.
/// Throws StoreError.
void prepare_schema(sqlite3* database);

}  // namespace lefting::store
