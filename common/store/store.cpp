#include "common/store/store.h"

#include <sqlite3.h>

#include <algorithm>

#include "common/base/os.h"
#include "common/base/shard.h"
#include "common/store/rows.h"
#include "common/store/schema.h"
#include "common/store/sqlite.h"

namespace lefting::store {

namespace {

// More than any crash can lose, and little enough for two million crashes within 2^53.
constexpr std::uint64_t kSequenceJump = std::uint64_t{1} << 32;

constexpr const char* kSetup = R"(
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
PRAGMA cache_size=-8192;
PRAGMA temp_store=MEMORY;
)";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;

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

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id");
  return text.ok() ? text.take().substr(0, 36) : std::string{};
}

}  // namespace

#define RECORD_COLUMNS "path, size, mtime, mode, deleted, hash, version, sequence, ctime, inode"
#define TICKET_COLUMNS "path, size, mtime, mode, deleted, hash, version, id, sources, done"

struct Store::Database {
  explicit Database(const std::string& path) : handle{open_database(path)} {}

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

  std::uint64_t read_counter(std::string_view name) {
    Query query{counter};
    query->bind_text(1, name);
    if (!query->step()) throw StoreError("the store has lost its counters", true);
    return query->number(0);
  }
  void write_counter(std::string_view name, std::uint64_t value) {
    set_counter.bind(1, value).bind_text(2, name);
    set_counter.run();
    if (sqlite3_changes(raw) != 1) throw StoreError("the store has lost its counters", true);
  }
  std::string read_fact(std::string_view name) {
    Query query{fact};
    query->bind_text(1, name);
    return query->step() ? std::string{query->blob(0)} : std::string{};
  }
};

namespace {

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

}  // namespace

Store::Store(const std::string& path) : database_{std::make_unique<Database>(path)} {}
Store::~Store() = default;

void Store::begin_instance() {
  Transaction transaction{*this};
  const std::string now = boot_id();
  if (database_->read_fact("boot") == now) return;
  Statement& set = database_->set_fact;
  set.bind_text(1, "boot").bind_text(2, now);
  set.run();
  // A new store has said nothing yet, so nothing can be lost.
  const std::uint64_t last = database_->read_counter("sequence");
  if (last != 0) database_->write_counter("sequence", last + kSequenceJump);
  transaction.commit();
}

IndexId Store::index_id() {
  const std::lock_guard lock{mutex_};
  const auto id = parse_index_id(database_->read_fact("index"));
  if (!id) throw StoreError("the store has lost its index id", true);
  return *id;
}

bool Store::has_share() {
  const std::lock_guard lock{mutex_};
  return !database_->read_fact("share").empty();
}

void Store::note_share() {
  const std::lock_guard lock{mutex_};
  Statement& set = database_->set_fact;
  set.bind_text(1, "share").bind_text(2, "marked");
  set.run();
}

std::uint64_t Store::last_sequence() {
  const std::lock_guard lock{mutex_};
  return database_->read_counter("sequence");
}

std::optional<Record> Store::find(std::string_view path) {
  const std::lock_guard lock{mutex_};
  return find_record(database_->find, path);
}

void Store::for_each_in_shard(std::size_t shard, const EmitRecord& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->shard};
  query->bind(1, std::uint64_t{shard});
  while (query->step()) emit(read_record(database_->shard));
}

std::vector<std::string> Store::paths_below(std::string_view folder) {
  const std::lock_guard lock{mutex_};
  const std::string first = std::string{folder} + "/";
  const std::string beyond = std::string{folder} + "0";  // '0' follows '/'
  std::vector<std::string> out;
  for (std::uint64_t shard = 0; shard < kShards; ++shard) {
    Query query{database_->below};
    query->bind(1, shard).bind_blob(2, first).bind_blob(3, beyond);
    while (query->step()) out.emplace_back(query->blob(0));
  }
  return out;
}

std::size_t Store::changes_after(std::uint64_t after, std::size_t most, const EmitRecord& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->changes};
  query->bind(1, after).bind(2, std::uint64_t{most});
  std::size_t count = 0;
  for (; query->step(); ++count) emit(read_record(database_->changes));
  return count;
}

Store::Count Store::count() {
  const std::lock_guard lock{mutex_};
  Query query{database_->count};
  query->step();
  const std::uint64_t deleted = query->number(2);
  return {query->number(0) - deleted, query->number(1), deleted};
}

void Store::for_each_ticket(const EmitTicket& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->tickets};
  query->bind(1, std::uint64_t{0});
  while (query->step()) emit(read_ticket(database_->tickets));
}

std::vector<Ticket> Store::tickets_from(std::uint64_t id) {
  const std::lock_guard lock{mutex_};
  std::vector<Ticket> out;
  Query query{database_->tickets};
  query->bind(1, id);
  while (query->step()) out.push_back(read_ticket(database_->tickets));
  return out;
}

std::optional<Ticket> Store::find_ticket(std::string_view path) {
  const std::lock_guard lock{mutex_};
  return find_ticket_row(database_->find_ticket, path);
}

std::vector<Peer> Store::peers() {
  const std::lock_guard lock{mutex_};
  std::vector<Peer> out;
  Query query{database_->peers};
  while (query->step()) out.push_back(read_peer(database_->peers));
  return out;
}

Transaction::Transaction(Store& store) : store_{store}, lock_{store.mutex_} {
  store_.database_->begin.run();
  try {
    next_sequence_ = first_sequence_ = store_.database_->read_counter("sequence") + 1;
    next_ticket_ = first_ticket_ = store_.database_->read_counter("ticket") + 1;
  } catch (...) {
    store_.database_->rollback.run();
    throw;
  }
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    store_.database_->rollback.run();
  } catch (const StoreError&) {
    // SQLite has rolled back already, after a full disk for example.
  }
}

std::uint64_t Transaction::next_sequence() const { return next_sequence_; }
std::uint64_t Transaction::next_ticket() const { return next_ticket_; }

bool Transaction::put_record(Record& record, std::uint64_t base) {
  Store::Database& database = *store_.database_;
  const std::string version = encode_version(record.entry.version);
  Statement& put = database.put;
  put.bind(1, std::uint64_t{shard_of(record.entry.path)}).bind_blob(2, record.entry.path);
  bind_entry(put, 3, record.entry, version);
  put.bind(9, next_sequence_).bind(10, record.ctime_ns).bind(11, record.inode).bind(12, base);
  put.run();
  if (sqlite3_changes(database.raw) == 0) return false;
  record.sequence = next_sequence_++;
  return true;
}

std::optional<Ticket> Transaction::find_ticket(std::string_view path) {
  return find_ticket_row(store_.database_->find_ticket, path);
}

bool Transaction::add_ticket(Ticket& ticket) {
  Store::Database& database = *store_.database_;
  const std::string version = encode_version(ticket.wanted.version);
  Statement& add = database.add_ticket;
  add.bind_blob(1, ticket.wanted.path);
  bind_entry(add, 2, ticket.wanted, version);
  add.bind(8, next_ticket_).bind(9, ticket.sources).bind_blob(10, ticket.done);
  add.run();
  if (sqlite3_changes(database.raw) == 0) return false;
  ticket.id = next_ticket_++;
  return true;
}

void Transaction::put_ticket(Ticket& ticket) {
  Statement& drop = store_.database_->drop_path;
  drop.bind_blob(1, ticket.wanted.path);
  drop.run();
  add_ticket(ticket);
}

void Transaction::set_ticket_sources(std::string_view path, std::uint64_t id,
                                     std::uint64_t sources) {
  Statement& set = store_.database_->set_sources;
  set.bind(1, sources).bind_blob(2, path).bind(3, id);
  set.run();
}

void Transaction::set_ticket_done(std::string_view path, std::uint64_t id,
                                  const std::vector<std::uint8_t>& done) {
  Statement& set = store_.database_->set_done;
  set.bind_blob(1, done).bind_blob(2, path).bind(3, id);
  set.run();
}

void Transaction::remove_ticket(std::string_view path, std::uint64_t id) {
  Statement& remove = store_.database_->remove_ticket;
  remove.bind_blob(1, path).bind(2, id);
  remove.run();
}

void Transaction::put_peer(Peer& peer) {
  Store::Database& database = *store_.database_;
  if (peer.slot < 0) {
    int free_slot = 0;
    Query query{database.peers};
    while (query->step() && static_cast<int>(query->number(0)) == free_slot) ++free_slot;
    if (free_slot == kMaxPeers) {
      throw StoreError("the peer list is full (64); remove one with `supervisor peer remove`",
                       false);
    }
    peer.slot = free_slot;
  }
  Statement& put = database.put_peer;
  put.bind(1, static_cast<std::uint64_t>(peer.slot));
  if (peer.device) {
    put.bind_blob(2, peer.device->bytes);
  } else {
    put.bind_null(2);
  }
  put.bind_text(3, peer.name).bind_text(4, peer.address);
  put.bind(5, std::uint64_t{peer.learned}).bind(6, std::uint64_t{peer.zstd});
  put.bind(7, peer.index).bind(8, peer.seen).bind(9, peer.told);
  put.run();
}

void Transaction::remove_peer(int slot) {
  Store::Database& database = *store_.database_;
  database.remove_peer.bind(1, static_cast<std::uint64_t>(slot));
  database.remove_peer.run();
  const std::uint64_t bit = std::uint64_t{1} << slot;
  database.drop_source.bind(1, bit).bind(2, bit);
  database.drop_source.run();
  execute(database.raw, "DELETE FROM ticket WHERE sources=0; UPDATE peer SET seen=0");
}

std::optional<Peer> Transaction::find_peer(int slot) {
  Query query{store_.database_->peers};
  while (query->step()) {
    if (static_cast<int>(query->number(0)) == slot) return read_peer(store_.database_->peers);
  }
  return std::nullopt;
}

bool Transaction::has_device(const DeviceId& device) {
  Query query{store_.database_->peers};
  while (query->step()) {
    if (read_peer(store_.database_->peers).device == device) return true;
  }
  return false;
}

void Transaction::commit() {
  Store::Database& database = *store_.database_;
  if (next_sequence_ != first_sequence_) database.write_counter("sequence", next_sequence_ - 1);
  if (next_ticket_ != first_ticket_) database.write_counter("ticket", next_ticket_ - 1);
  database.commit.run();
  open_ = false;
  lock_.unlock();
}

}  // namespace lefting::store
