#pragma once

struct sqlite3;

namespace lefting::store {

/// The store's version, in PRAGMA user_version. A store of a newer version is refused.
inline constexpr int kSchemaVersion = 9;
/// "LEFT": in PRAGMA application_id, so that a foreign database is noticed.
inline constexpr int kApplicationId = 0x4c454654;

/// True if nothing was ever written to it.
bool is_empty(sqlite3* database);
/// Refuses a foreign file and a newer version. Returns the version. Throws StoreError.
int known_version(sqlite3* database);

/// Makes the tables in an empty database, brings an older one up to date, refuses others.
/// Throws StoreError.
void prepare_schema(sqlite3* database);
/// For those who only read: refuses what is not a store of this version.
void check_schema(sqlite3* database);

}  // namespace lefting::store
