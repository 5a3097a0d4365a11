#include "common/store/schema.h"

#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/random.h>

#include <array>
#include <span>

#include "common/base/ids.h"
#include "common/base/shard.h"
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
CREATE TABLE peer(
  slot INTEGER PRIMARY KEY, device BLOB UNIQUE, name TEXT NOT NULL, address TEXT NOT NULL,
  learned INTEGER NOT NULL, zstd INTEGER NOT NULL, their_index INTEGER NOT NULL, seen INTEGER NOT NULL, told INTEGER NOT NULL);
INSERT INTO counter VALUES('sequence', 0), ('ticket', 0);
)";

/// What version 2 has that version 1 had not.
constexpr const char* kTables2 = R"(
CREATE INDEX file_deleted ON file(shard) WHERE deleted=1;
CREATE TABLE ticket(
  shard INTEGER NOT NULL, path BLOB NOT NULL, id INTEGER NOT NULL, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB,
  version BLOB NOT NULL, sources INTEGER NOT NULL, done BLOB NOT NULL, former BLOB NOT NULL,
  PRIMARY KEY(shard, path)) WITHOUT ROWID;
CREATE UNIQUE INDEX ticket_id ON ticket(id);
)";

/// What version 3 has that version 2 had not.
constexpr const char* kTables3 = R"(
CREATE TABLE trace(hash INTEGER PRIMARY KEY, version BLOB NOT NULL);
)";

/// What version 4 has that version 3 had not.
constexpr const char* kTables4 = R"(
ALTER TABLE peer ADD COLUMN most_seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peer ADD COLUMN most_told INTEGER NOT NULL DEFAULT 0;
UPDATE peer SET most_seen=seen, most_told=told;
)";

/// What version 5 has that version 4 had not. kContentBytes stands in it.
constexpr const char* kTables5 = R"(
CREATE INDEX file_content ON file(hash) WHERE size>=65536 AND deleted=0;
CREATE TABLE manifest(hash BLOB PRIMARY KEY, cut TEXT NOT NULL, blocks BLOB NOT NULL);
)";

/// What version 6 has that version 5 had not: large files are found by their size alone too.
constexpr const char* kTables6 = R"(
DROP INDEX file_content;
CREATE INDEX file_content ON file(size, hash) WHERE size>=65536 AND deleted=0;
)";
static_assert(kContentBytes == 65536);

/// What version 7 has that version 6 had not.
constexpr const char* kTables7 = R"(
ALTER TABLE ticket ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
)";

/// What version 8 has that version 7 had not: which contents are alike.
constexpr const char* kTables8 = R"(
ALTER TABLE manifest ADD COLUMN bases BLOB NOT NULL DEFAULT x'';
CREATE TABLE content(
  id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE sketch(
  block INTEGER NOT NULL, content INTEGER NOT NULL, PRIMARY KEY(block, content)) WITHOUT ROWID;
CREATE INDEX sketch_content ON sketch(content);
)";

/// What version 9 has that version 8 had not: hashes of two kinds. Bases are written otherwise;
/// they are a hint.
constexpr const char* kTables9 = R"(
UPDATE manifest SET bases=x'' WHERE bases<>x'';
)";

/// From version 1, whose tickets had no shard.
constexpr const char* kMoveTickets = R"(
INSERT INTO ticket SELECT shard_of(path), path, id, size, mtime, mode, deleted, hash, version,
  sources, done, x'' FROM ticket1;
DROP TABLE ticket1;
)";

/// What each version adds to the one before.
constexpr std::array kVersions = {kTables,  kTables2, kTables3, kTables4, kTables5,
                                  kTables6, kTables7, kTables8, kTables9};
static_assert(kVersions.size() == kSchemaVersion);

void bring_up(sqlite3* database, int from) {
  for (const char* tables : std::span{kVersions}.subspan(static_cast<std::size_t>(from))) {
    execute(database, tables);
  }
}

/// shard_of(path) for SQL.
void call_shard_of(sqlite3_context* context, int, sqlite3_value** arguments) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(arguments[0]));
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(arguments[0]));
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(shard_of({bytes, size})));
}

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
    bring_up(database, 0);
    execute(database,
            fmt::format("INSERT INTO fact VALUES('index', '{}')", index_text(id)).c_str());
    execute(database, fmt::format("PRAGMA application_id={}", kApplicationId).c_str());
    execute(database, fmt::format("PRAGMA user_version={}", kSchemaVersion).c_str());
  }
  execute(database, "COMMIT");
}

/// In one transaction: a death leaves the old version.
void upgrade(sqlite3* database) {
  sqlite3_create_function(database, "shard_of", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                          call_shard_of, nullptr, nullptr);
  execute(database, "BEGIN IMMEDIATE");
  int version = pragma_number(database, "PRAGMA user_version");
  if (version == 1) {
    execute(database, "ALTER TABLE ticket RENAME TO ticket1");
    execute(database, kTables2);
    execute(database, kMoveTickets);
    version = 2;
  }
  bring_up(database, version);
  execute(database, fmt::format("PRAGMA user_version={}", kSchemaVersion).c_str());
  execute(database, "COMMIT");
}

}  // namespace

bool is_empty(sqlite3* database) {
  return pragma_number(database, "PRAGMA user_version") == 0 &&
         pragma_number(database, "SELECT count(*) FROM sqlite_master") == 0;
}

int known_version(sqlite3* database) {
  const int version = pragma_number(database, "PRAGMA user_version");
  if (pragma_number(database, "PRAGMA application_id") != kApplicationId) {
    throw StoreError(
        "this SQLite file is not a store of Lefting; choose another --state folder, or let "
        "`supervisor start --rebuild` set it aside",
        true);
  }
  if (version > kSchemaVersion) {
    throw StoreError(fmt::format("the store has version {}, this program knows up to {}; install "
                                 "the newer Lefting again, or let `supervisor start --rebuild` "
                                 "make a new store from the share",
                                 version, kSchemaVersion),
                     true);
  }
  return version;
}

void prepare_schema(sqlite3* database) {
  if (is_empty(database)) return create(database);
  if (known_version(database) < kSchemaVersion) upgrade(database);
}

void check_schema(sqlite3* database) {
  if (is_empty(database)) throw StoreError("it is empty; `supervisor start` makes it", false);
  const int version = known_version(database);
  if (version == kSchemaVersion) return;
  throw StoreError(fmt::format("the store has version {}, this program reads {}; `supervisor "
                               "start` brings it up to date",
                               version, kSchemaVersion),
                   true);
}

}  // namespace lefting::store
