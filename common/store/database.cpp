#include "common/store/database.h"

#include <algorithm>

#include "common/base/shard.h"
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

Handle open_database(const std::string& path) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Handle handle{raw};
  if (code != SQLITE_OK) throw_store_error(raw, "open store \"" + path + "\"");
  sqlite3_busy_timeout(raw, 30000);
  try {
    execute(raw, kSetup);
    prepare_schema(raw);
  } catch (const StoreError& error) {
    throw StoreError("store \"" + path + "\": " + error.what(), error.permanent);
  }
  return handle;
}

}  // namespace

Store::Database::Database(const std::string& path) : handle{open_database(path)} {}

std::uint64_t Store::Database::read_counter(std::string_view name) {
  Query query{counter};
  query->bind_text(1, name);
  if (!query->step()) throw StoreError("the store has lost its counters", true);
  return query->number(0);
}

void Store::Database::write_counter(std::string_view name, std::uint64_t value) {
  set_counter.bind(1, value).bind_text(2, name);
  set_counter.run();
  if (sqlite3_changes(raw) != 1) throw StoreError("the store has lost its counters", true);
}

std::string Store::Database::read_fact(std::string_view name) {
  Query query{fact};
  query->bind_text(1, name);
  return query->step() ? std::string{query->blob(0)} : std::string{};
}

Record read_record(const Statement& row) {
  Record record;
  record.entry = read_entry(row, 0);
  record.sequence = row.number(7);
  record.ctime_ns = row.signed_number(8);
  record.inode = row.number(9);
  return record;
}

Ticket read_ticket(const Statement& row) {
  Ticket ticket;
  ticket.wanted = read_entry(row, 0);
  ticket.id = row.number(7);
  ticket.sources = row.number(8);
  const std::string_view done = row.blob(9);
  ticket.done.assign(done.begin(), done.end());
  return ticket;
}

std::optional<Record> find_record(Statement& statement, std::string_view path) {
  Query query{statement};
  query->bind(1, std::uint64_t{shard_of(path)}).bind_blob(2, path);
  if (!query->step()) return std::nullopt;
  return read_record(statement);
}

std::optional<Ticket> find_ticket_row(Statement& statement, std::string_view path) {
  Query query{statement};
  query->bind_blob(1, path);
  if (!query->step()) return std::nullopt;
  return read_ticket(statement);
}

Peer read_peer(const Statement& row) {
  Peer peer;
  peer.slot = static_cast<int>(row.number(0));
  const std::string_view device = row.blob(1);
  if (device.size() == 32) {
    peer.device.emplace();
    std::copy(device.begin(), device.end(), peer.device->bytes.begin());
  }
  peer.name = row.blob(2);
  peer.address = row.blob(3);
  peer.learned = row.number(4) != 0;
  peer.zstd = row.number(5) != 0;
  peer.index = row.number(6);
  peer.seen = row.number(7);
  peer.told = row.number(8);
  return peer;
}

}  // namespace lefting::store
