#include "common/store/schema.h"

#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/random.h>

#include "common/base/ids.h"
#include "common/store/sqlite.h"
#include "common/store/store.h"

namespace lefting::store {

namespace {

// What each table is for, and who writes it: docs/STATE.md.
constexpr const char* kTables = R"(
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file(
  shard INTEGER NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
  mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB, version BLOB NOT NULL,
  sequence INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,
  PRIMARY KEY(shard, path)) WITHOUT ROWID;
CREATE UNIQUE INDEX file_sequence ON file(sequence);
CREATE TABLE ticket(
  id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB,
  version BLOB NOT NULL, sources INTEGER NOT NULL, done BLOB NOT NULL);
CREATE TABLE peer(
  slot INTEGER PRIMARY KEY, device BLOB UNIQUE, name TEXT NOT NULL, address TEXT NOT NULL,
  learned INTEGER NOT NULL, zstd INTEGER NOT NULL, their_index INTEGER NOT NULL, seen INTEGER NOT NULL, told INTEGER NOT NULL);
INSERT INTO counter VALUES('sequence', 0), ('ticket', 0);
)";

int pragma_number(sqlite3* database, const char* sql) {
  Statement statement{database, sql};
  const Query query{statement};
  return statement.step() ? static_cast<int>(statement.number(0)) : 0;
}

void create(sqlite3* database) {
  IndexId id = 0;
  while (id == 0) {
    if (::getrandom(&id, sizeof id, 0) != sizeof id) {
      throw StoreError("getrandom failed: no index id can be made", false);
    }
  }
  execute(database, "BEGIN IMMEDIATE");
  // Another program may have been first while this one waited for the lock.
  if (pragma_number(database, "PRAGMA user_version") == 0) {
    execute(database, kTables);
    execute(database,
            fmt::format("INSERT INTO fact VALUES('index', '{}')", index_text(id)).c_str());
    execute(database, fmt::format("PRAGMA application_id={}", kApplicationId).c_str());
    execute(database, fmt::format("PRAGMA user_version={}", kSchemaVersion).c_str());
  }
  execute(database, "COMMIT");
}

}  // namespace

void prepare_schema(sqlite3* database) {
  const int version = pragma_number(database, "PRAGMA user_version");
  const int tables = pragma_number(database, "SELECT count(*) FROM sqlite_master");
  if (version == 0 && tables == 0) return create(database);
  if (pragma_number(database, "PRAGMA application_id") != kApplicationId) {
    throw StoreError("this SQLite file is not a store of Lefting; choose another --state folder",
                     true);
  }
  if (version > kSchemaVersion) {
    throw StoreError(fmt::format("the store has version {}, this program knows up to {}; install "
                                 "the newer Lefting again",
                                 version, kSchemaVersion),
                     true);
  }
}

}  // namespace lefting::store
