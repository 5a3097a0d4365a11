#pragma once

namespace lefting::test {

/// What makes an empty store of version 1, in a transaction that the caller begins and ends.
inline constexpr const char* kOldStore = R"(
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
INSERT INTO fact VALUES('index', '0102030405060708');
PRAGMA application_id=1279608404;
PRAGMA user_version=1;
)";

}  // namespace lefting::test
