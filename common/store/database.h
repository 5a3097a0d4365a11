#pragma once

// For the .cpp files of this room.

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/store/sqlite.h"
#include "common/store/store.h"

namespace lefting::store {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;

#define RECORD_COLUMNS "path, size, mtime, mode, deleted, hash, version, sequence, ctime, inode"
#define TICKET_COLUMNS \
  "path, size, mtime, mode, deleted, hash, version, id, sources, done, former, announced"

#define CONTENT_IS_HERE                                                                 \
  "EXISTS (SELECT 1 FROM file WHERE file.size=content.size AND file.hash=content.hash " \
  "AND file.size>=65536 AND deleted=0)"

/// Opens a store that is there, only to look at it: what is in its log stays there. Throws
/// StoreError.
Handle open_untouched(const std::string& path);

/// Every commit so far is on disk when this returns. Throws StoreError.
void sync_log(sqlite3* database);

/// Of a table that begins with shard and path. One statement for all shards: beginning to read
/// costs more than a look into each of them.
std::string select_below(const char* table);

/// The open database and every statement that is asked of it.
struct Store::Database {
  Database(const std::string& path, Access access);

  Handle handle;
  sqlite3* raw = handle.get();
  Statement begin{raw, "BEGIN IMMEDIATE"};
  Statement commit{raw, "COMMIT"};
  Statement rollback{raw, "ROLLBACK"};
  Statement counter{raw, "SELECT value FROM counter WHERE name=?"};
  Statement set_counter{raw, "UPDATE counter SET value=? WHERE name=?"};
  Statement fact{raw, "SELECT value FROM fact WHERE name=?"};
  Statement set_fact{raw, "INSERT OR REPLACE INTO fact VALUES(?,?)"};
  Statement find{raw, "SELECT " RECORD_COLUMNS " FROM file WHERE shard=? AND path=?"};
  Statement shard{raw, "SELECT " RECORD_COLUMNS " FROM file WHERE shard=?"};
  Statement files_below{raw, (select_below("file") + " AND deleted=0").c_str()};
  Statement tickets_below{raw, select_below("ticket").c_str()};
  Statement changes{
      raw, "SELECT " RECORD_COLUMNS " FROM file WHERE sequence>? ORDER BY sequence LIMIT ?"};
  Statement deleted{raw, "SELECT " RECORD_COLUMNS " FROM file WHERE shard=? AND deleted=1"};
  Statement content{raw,
                    "SELECT " RECORD_COLUMNS
                    " FROM file WHERE size=? AND hash=? AND size>=65536 AND deleted=0 LIMIT 4"};
  Statement size{raw,
                 "SELECT 1 FROM file WHERE size=? AND size>=65536 AND deleted=0 AND path<>? "
                 "LIMIT 1"};
  Statement manifest{raw, "SELECT blocks, bases FROM manifest WHERE hash=? AND cut=?"};
  Statement put_manifest{raw,
                         "INSERT OR REPLACE INTO manifest(hash, cut, blocks, bases) "
                         "VALUES(?,?,?,?)"};
  Statement drop_manifests{raw,
                           "DELETE FROM manifest WHERE hash NOT IN (SELECT hash FROM file WHERE "
                           "size>=65536 AND deleted=0)"};
  Statement put_content{raw,
                        "INSERT INTO content(hash, size, mtime) VALUES(?,?,?) "
                        "ON CONFLICT(hash) DO UPDATE SET mtime=excluded.mtime, gone=0"};
  Statement put_sketch{raw,
                       "INSERT OR IGNORE INTO sketch "
                       "SELECT ?, id FROM content WHERE hash=?"};
  Statement has_sketch{raw, "SELECT 1 FROM content WHERE hash=?"};
  Statement sketched{raw,
                     "SELECT content FROM sketch WHERE block=? ORDER BY content DESC LIMIT 64"};
  Statement basis{raw, "SELECT hash, size, mtime FROM content WHERE id=?"};
  Statement unsketched_size{raw,
                            "SELECT 1 FROM file WHERE size=? AND size>=65536 AND deleted=0 AND "
                            "hash NOT IN (SELECT hash FROM content) LIMIT 1"};
  Statement unsketched{raw,
                       "SELECT path FROM file WHERE size>=? AND size>=65536 AND deleted=0 "
                       "AND hash IS NOT NULL AND hash NOT IN (SELECT hash FROM content)"};
  Statement note_back{raw, "UPDATE content SET gone=0 WHERE gone<>0 AND " CONTENT_IS_HERE};
  Statement note_gone{raw, "UPDATE content SET gone=? WHERE gone=0 AND NOT " CONTENT_IS_HERE};
  Statement drop_sketches{raw,
                          "DELETE FROM sketch WHERE content IN "
                          "(SELECT id FROM content WHERE gone<>0 AND gone<=?)"};
  Statement drop_contents{raw, "DELETE FROM content WHERE gone<>0 AND gone<=?"};
  Statement trace{raw, "SELECT version FROM trace WHERE hash=?"};
  Statement shard_traces{raw, "SELECT hash FROM trace WHERE hash BETWEEN ? AND ?"};
  Statement put_trace{raw, "INSERT OR REPLACE INTO trace VALUES(?,?)"};
  Statement drop_trace{raw, "DELETE FROM trace WHERE hash=?"};
  Statement fade{raw, "DELETE FROM file WHERE shard=? AND path=? AND sequence=? AND deleted=1"};
  Statement least_told{raw, "SELECT min(told) FROM peer"};
  Statement count{raw, "SELECT count(*), total(size), total(deleted) FROM file"};
  Statement count_deleted{raw, "SELECT count(*) FROM file WHERE deleted=1"};
  Statement put_new{raw, "INSERT INTO file(shard, " RECORD_COLUMNS
                         ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) "
                         "ON CONFLICT(shard, path) DO NOTHING"};
  Statement put{raw,
                "UPDATE file SET size=?3, mtime=?4, mode=?5, deleted=?6, hash=?7, version=?8, "
                "sequence=?9, ctime=?10, inode=?11 WHERE shard=?1 AND path=?2 AND sequence=?12"};
  Statement forget{raw, "DELETE FROM file WHERE shard=? AND path=? RETURNING version"};
  Statement tickets{raw, "SELECT " TICKET_COLUMNS " FROM ticket ORDER BY id"};
  Statement shard_tickets{raw, "SELECT " TICKET_COLUMNS " FROM ticket WHERE shard=?"};
  Statement find_ticket{raw, "SELECT " TICKET_COLUMNS " FROM ticket WHERE shard=? AND path=?"};
  Statement add_ticket{raw,
                       "INSERT INTO ticket(shard, " TICKET_COLUMNS
                       ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(shard, path) DO NOTHING"};
  Statement drop_path{raw, "DELETE FROM ticket WHERE shard=? AND path=?"};
  Statement set_offer{raw,
                      "UPDATE ticket SET sources=?, hash=?, announced=? "
                      "WHERE shard=? AND path=? AND id=?"};
  Statement set_done{raw, "UPDATE ticket SET done=? WHERE shard=? AND path=? AND id=?"};
  Statement remove_ticket{raw, "DELETE FROM ticket WHERE shard=? AND path=? AND id=?"};
  Statement give_up_ticket{raw,
                           "DELETE FROM ticket WHERE shard=? AND path=? AND id=? "
                           "AND (sources=0 OR announced=1)"};
  Statement tickets_after{raw,
                          "SELECT " TICKET_COLUMNS " FROM ticket WHERE id>? ORDER BY id LIMIT ?"};
  Statement peers{
      raw,
      "SELECT slot, device, name, address, learned, zstd, their_index, seen, told, most_seen, "
      "most_told FROM peer ORDER BY slot"};
  Statement put_peer{raw, "INSERT OR REPLACE INTO peer VALUES(?,?,?,?,?,?,?,?,?,?,?)"};
  Statement remove_peer{raw, "DELETE FROM peer WHERE slot=?"};
  Statement drop_source{raw,
                        "UPDATE ticket SET sources=sources & ~? WHERE sources & ? AND deleted<=?"};

  std::uint64_t read_counter(std::string_view name);
  void write_counter(std::string_view name, std::uint64_t value);
  std::string read_fact(std::string_view name);
  std::uint64_t read_number(std::string_view name);  ///< 0: there is none
  void write_fact(std::string_view name, std::string_view value);
};

#undef RECORD_COLUMNS
#undef TICKET_COLUMNS

// A row as those statements give it.
Record read_record(const Statement& row);
Ticket read_ticket(const Statement& row);
std::optional<Record> find_record(Statement& statement, std::string_view path);
/// As a tombstone of that path, made when its stamp says.
std::optional<Record> find_trace(Statement& statement, std::string_view path);
/// How a path's hash stands in the table of traces: in order, as a signed number.
std::int64_t trace_key(std::uint64_t hash);
std::uint64_t hash_of_trace(std::int64_t key);
std::optional<Ticket> find_ticket_row(Statement& statement, std::string_view path);
Peer read_peer(const Statement& row);

}  // namespace lefting::store
