#include "common/store/database.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "common/base/shard.h"
#include "common/store/read_only.h"
#include "common/store/rows.h"
#include "common/store/schema.h"

namespace lefting::store {

namespace {

constexpr const char* kSetup = R"(
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
PRAGMA cache_size=-8192;
PRAGMA temp_store=MEMORY;
)";

void leave_log(sqlite3* database, bool leave) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave ? 1 : 0, nullptr);
}

Handle open_file(const std::string& path, int more_flags) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type != std::filesystem::file_type::regular &&
      type != std::filesystem::file_type::not_found) {
    throw StoreError("store \"" + path +
                         "\": it is not a file; move it away, or let `supervisor start --rebuild` "
                         "set it aside",
                     true);
  }
  sqlite3* raw = nullptr;
  errno = 0;
  const int code = sqlite3_open_v2(
      path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | more_flags, nullptr);
  Handle handle{raw};
  if (code != SQLITE_OK) throw_store_error(raw, "open store \"" + path + "\"");
  sqlite3_busy_timeout(raw, 30000);
  leave_log(raw, true);
  return handle;
}

Handle open_database(const std::string& path) {
  Handle handle = open_file(path, SQLITE_OPEN_CREATE);
  sqlite3* raw = handle.get();
  try {
    // What is not ours stays as it is, down to its journal mode.
    if (!is_empty(raw)) known_version(raw);
    leave_log(raw, false);
    execute(raw, kSetup);
    prepare_schema(raw);
  } catch (const StoreError& error) {
    throw StoreError("store \"" + path + "\": " + error.what(), error.permanent);
  }
  return handle;
}

}  // namespace

std::string select_below(const char* table) {
  std::string shards = "0";
  for (std::size_t shard = 1; shard < kShards; ++shard) shards += "," + std::to_string(shard);
  return fmt::format("SELECT path FROM {} WHERE shard IN ({}) AND path>=?1 AND path<?2", table,
                     shards);
}

Handle open_untouched(const std::string& path) { return open_file(path, 0); }

void fold_log(const std::string& path) {
  if (::access((path + "-wal").c_str(), F_OK) != 0) return;
  const Handle handle = open_file(path, 0);
  is_empty(handle.get());  // one that has read nothing would not close the log
  leave_log(handle.get(), false);
}

void sync_log(sqlite3* database) {
  sqlite3_file* log = nullptr;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  const bool is_open = log != nullptr && log->pMethods != nullptr;
  // Without a log all is in the database, which a checkpoint has synced.
  if (!is_open || log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK) return;
  throw StoreError("the store can't be synced to disk; see that the disk is sound and has room",
                   false);
}

Store::Database::Database(const std::string& path, Access access)
    : handle{access == Access::write ? open_database(path) : open_to_read(path, access)} {}

std::uint64_t Store::Database::read_counter(std::string_view name) {
  Query query{counter};
  query->bind_text(1, name);
  if (!query->step()) throw_damaged("it has lost a counter");
  return static_cast<std::uint64_t>(query->integer(0, 0, kMaxNumber));
}

void Store::Database::write_counter(std::string_view name, std::uint64_t value) {
  set_counter.bind(1, value).bind_text(2, name);
  set_counter.run();
  if (sqlite3_changes(raw) != 1) throw_damaged("it has lost a counter");
}

std::string Store::Database::read_fact(std::string_view name) {
  Query query{fact};
  query->bind_text(1, name);
  return query->step() ? std::string{query->blob(0)} : std::string{};
}

std::uint64_t Store::Database::read_number(std::string_view name) {
  const std::string text = read_fact(name);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!text.empty() && (error != std::errc{} || end != text.data() + text.size())) {
    throw_damaged("it has lost a number");
  }
  return number;
}

void Store::Database::write_fact(std::string_view name, std::string_view value) {
  set_fact.bind_text(1, name).bind_text(2, value);
  set_fact.run();
}

Record read_record(const Statement& row) {
  Record record;
  record.entry = read_entry(row, 0);
  record.sequence = static_cast<std::uint64_t>(row.integer(7, 1, kMaxNumber));
  record.ctime_ns = row.signed_number(8);
  record.inode = row.number(9);
  return record;
}

Ticket read_ticket(const Statement& row) {
  Ticket ticket;
  ticket.wanted = read_entry(row, 0);
  ticket.id = static_cast<std::uint64_t>(row.integer(7, 1, kMaxNumber));
  ticket.sources = row.number(8);
  const std::string_view done = row.blob(9);
  ticket.done.assign(done.begin(), done.end());
  ticket.former = decode_wishes(row.blob(10));
  ticket.announced = row.number(11) != 0;
  return ticket;
}

std::optional<Record> find_record(Statement& statement, std::string_view path) {
  Query query{statement};
  query->bind(1, std::uint64_t{shard_of(path)}).bind_blob(2, path);
  if (!query->step()) return std::nullopt;
  return read_record(statement);
}

std::int64_t trace_key(std::uint64_t hash) {
  return static_cast<std::int64_t>(hash ^ (std::uint64_t{1} << 63));
}

std::uint64_t hash_of_trace(std::int64_t key) {
  return static_cast<std::uint64_t>(key) ^ (std::uint64_t{1} << 63);
}

std::optional<Record> find_trace(Statement& statement, std::string_view path) {
  Query query{statement};
  query->bind(1, trace_key(path_hash(path)));
  if (!query->step()) return std::nullopt;
  Record record;
  record.entry.path = path;
  record.entry.deleted = true;
  record.entry.version = decode_version(query->blob(0));
  std::uint64_t made_ms = 0;
  for (const VersionCounter& one : record.entry.version) made_ms = std::max(made_ms, one.counter);
  constexpr std::uint64_t kMostMs = 9'000'000'000'000;  // far beyond any clock
  record.entry.mtime_ns = static_cast<std::int64_t>(std::min(made_ms, kMostMs)) * 1'000'000;
  return record;
}

std::optional<Ticket> find_ticket_row(Statement& statement, std::string_view path) {
  Query query{statement};
  query->bind(1, std::uint64_t{shard_of(path)}).bind_blob(2, path);
  if (!query->step()) return std::nullopt;
  return read_ticket(statement);
}

Peer read_peer(const Statement& row) {
  Peer peer;
  peer.slot = static_cast<int>(row.integer(0, 0, kMaxPeers - 1));
  if (!row.is_null(1)) peer.device.emplace(DeviceId{read_device(row, 1)});
  peer.name = row.blob(2);
  peer.address = row.blob(3);
  peer.learned = row.number(4) != 0;
  peer.zstd = row.number(5) != 0;
  peer.index = row.number(6);
  peer.seen = row.number(7);
  peer.told = row.number(8);
  peer.most_seen = row.number(9);
  peer.most_told = row.number(10);
  return peer;
}

}  // namespace lefting::store
