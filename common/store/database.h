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
#define TICKET_COLUMNS "path, size, mtime, mode, deleted, hash, version, id, sources, done"

/// The open database and every statement that is asked of it.
struct Store::Database {
  explicit Database(const std::string& path);

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
  Statement below{raw, "SELECT path FROM file WHERE shard=? AND path>=? AND path<? AND deleted=0"};
  Statement changes{
      raw, "SELECT " RECORD_COLUMNS " FROM file WHERE sequence>? ORDER BY sequence LIMIT ?"};
  Statement count{raw, "SELECT count(*), total(size), total(deleted) FROM file"};
  Statement put{raw, "INSERT INTO file(shard, " RECORD_COLUMNS
                     ") VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(shard, path) DO UPDATE SET "
                     "size=excluded.size, mtime=excluded.mtime, mode=excluded.mode, "
                     "deleted=excluded.deleted, hash=excluded.hash, version=excluded.version, "
                     "sequence=excluded.sequence, ctime=excluded.ctime, inode=excluded.inode "
                     "WHERE file.sequence=?"};
  Statement tickets{raw, "SELECT " TICKET_COLUMNS " FROM ticket WHERE id>=? ORDER BY id"};
  Statement find_ticket{raw, "SELECT " TICKET_COLUMNS " FROM ticket WHERE path=?"};
  Statement add_ticket{raw, "INSERT INTO ticket(" TICKET_COLUMNS
                            ") VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(path) DO NOTHING"};
  Statement drop_path{raw, "DELETE FROM ticket WHERE path=?"};
  Statement set_sources{raw, "UPDATE ticket SET sources=? WHERE path=? AND id=?"};
  Statement set_done{raw, "UPDATE ticket SET done=? WHERE path=? AND id=?"};
  Statement remove_ticket{raw, "DELETE FROM ticket WHERE path=? AND id=?"};
  Statement peers{
      raw,
      "SELECT slot, device, name, address, learned, zstd, their_index, seen, told FROM peer "
      "ORDER BY slot"};
  Statement put_peer{raw, "INSERT OR REPLACE INTO peer VALUES(?,?,?,?,?,?,?,?,?)"};
  Statement remove_peer{raw, "DELETE FROM peer WHERE slot=?"};
  Statement drop_source{raw, "UPDATE ticket SET sources=sources & ~? WHERE sources & ?"};

  std::uint64_t read_counter(std::string_view name);
  void write_counter(std::string_view name, std::uint64_t value);
  std::string read_fact(std::string_view name);
};

#undef RECORD_COLUMNS
#undef TICKET_COLUMNS

// A row as those statements give it.
Record read_record(const Statement& row);
Ticket read_ticket(const Statement& row);
std::optional<Record> find_record(Statement& statement, std::string_view path);
std::optional<Ticket> find_ticket_row(Statement& statement, std::string_view path);
Peer read_peer(const Statement& row);

}  // namespace lefting::store
