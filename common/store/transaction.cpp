#include <algorithm>

#include "common/base/clock.h"
#include "common/base/shard.h"
#include "common/store/database.h"
#include "common/store/rows.h"
#include "common/store/store.h"

namespace lefting::store {

namespace {

/// 256 a millisecond are more than can be committed, and below 2^53 until the year 3084.
constexpr std::uint64_t timed_sequence(std::uint64_t wall_ms) { return wall_ms << 8; }

std::uint64_t shard_column(std::string_view path) { return shard_of(path); }

}  // namespace

Transaction::Transaction(Store& store) : store_{store}, lock_{store.mutex_} {
  store_.database_->begin.run();
  try {
    next_sequence_ = store_.database_->read_counter("sequence") + 1;
    if (store_.is_timed_) next_sequence_ = std::max(next_sequence_, timed_sequence(wall_ms()));
    first_sequence_ = next_sequence_;
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

void Transaction::skip_sequences(std::uint64_t sequence) {
  if (sequence > timed_sequence(wall_ms() + kFarAheadMs)) return;
  next_sequence_ = std::max(next_sequence_, sequence + 1);
  first_sequence_ = 0;  // so that the counter is written
}

bool Transaction::put_record(Record& record, std::uint64_t base) {
  Store::Database& database = *store_.database_;
  const std::string version = encode_version(record.entry.version);
  Statement& put = base == 0 ? database.put_new : database.put;
  put.bind(1, shard_column(record.entry.path)).bind_blob(2, record.entry.path);
  bind_entry(put, 3, record.entry, version);
  put.bind(9, next_sequence_).bind(10, record.ctime_ns).bind(11, record.inode);
  if (base != 0) put.bind(12, base);
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
  const std::string former = encode_wishes(ticket.former);
  Statement& add = database.add_ticket;
  add.bind(1, shard_column(ticket.wanted.path)).bind_blob(2, ticket.wanted.path);
  bind_entry(add, 3, ticket.wanted, version);
  add.bind(9, next_ticket_).bind(10, ticket.sources).bind_blob(11, ticket.done);
  add.bind_blob(12, former).bind(13, std::uint64_t{ticket.announced});
  add.run();
  if (sqlite3_changes(database.raw) == 0) return false;
  ticket.id = next_ticket_++;
  return true;
}

void Transaction::put_ticket(Ticket& ticket) {
  Statement& drop = store_.database_->drop_path;
  drop.bind(1, shard_column(ticket.wanted.path)).bind_blob(2, ticket.wanted.path);
  drop.run();
  add_ticket(ticket);
}

void Transaction::set_ticket_offer(const Ticket& ticket) {
  Statement& set = store_.database_->set_offer;
  const Entry& wanted = ticket.wanted;
  set.bind(1, ticket.sources);
  wanted.hash ? set.bind_blob(2, hash_blob(*wanted.hash)) : set.bind_null(2);
  set.bind(3, std::uint64_t{ticket.announced});
  set.bind(4, shard_column(wanted.path)).bind_blob(5, wanted.path).bind(6, ticket.id);
  set.run();
}

void Transaction::set_ticket_done(std::string_view path, std::uint64_t id,
                                  const std::vector<std::uint8_t>& done) {
  Statement& set = store_.database_->set_done;
  set.bind_blob(1, done).bind(2, shard_column(path)).bind_blob(3, path).bind(4, id);
  set.run();
}

void Transaction::remove_ticket(std::string_view path, std::uint64_t id) {
  Statement& remove = store_.database_->remove_ticket;
  remove.bind(1, shard_column(path)).bind_blob(2, path).bind(3, id);
  remove.run();
}

bool Transaction::give_up_ticket(std::string_view path, std::uint64_t id) {
  Statement& give_up = store_.database_->give_up_ticket;
  give_up.bind(1, shard_column(path)).bind_blob(2, path).bind(3, id);
  give_up.run();
  if (sqlite3_changes(store_.database_->raw) != 0) return true;
  const auto left = find_ticket(path);
  return !left || left->id != id;
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
  put.bind(10, peer.most_seen).bind(11, peer.most_told);
  put.run();
}

void Transaction::forget_record(std::string_view path) {
  Store::Database& database = *store_.database_;
  const auto writer = parse_short_id(database.read_fact("writer"));
  {
    Query query{database.forget};
    query->bind(1, shard_column(path)).bind_blob(2, path);
    while (query->step()) {
      for (const VersionCounter& one : decode_version(query->blob(0))) {
        if (one.device == writer) forgotten_ = std::max(forgotten_, one.counter);
      }
    }
  }
  database.drop_trace.bind(1, trace_key(path_hash(path)));
  database.drop_trace.run();
}

void Transaction::fade(const Record& tombstone) {
  Store::Database& database = *store_.database_;
  const std::string& path = tombstone.entry.path;
  database.fade.bind(1, shard_column(path)).bind_blob(2, path).bind(3, tombstone.sequence);
  database.fade.run();
  if (sqlite3_changes(database.raw) == 0) return;
  const std::string version = encode_version(tombstone.entry.version);
  database.put_trace.bind(1, trace_key(path_hash(path))).bind_blob(2, version);
  database.put_trace.run();
}

void Transaction::remove_peer(int slot) {
  Store::Database& database = *store_.database_;
  database.remove_peer.bind(1, static_cast<std::uint64_t>(slot));
  database.remove_peer.run();
  forget_offers(slot, Offers::all);
  forget_seen();
}

bool Transaction::forget_offers(int slot, Offers offers) {
  Store::Database& database = *store_.database_;
  const std::uint64_t bit = std::uint64_t{1} << slot;
  database.drop_source.bind(1, bit).bind(2, bit);
  database.drop_source.bind(3, std::uint64_t{offers == Offers::all});
  database.drop_source.run();
  if (sqlite3_changes(database.raw) == 0) return false;
  forget_seen();
  return true;
}

void Transaction::forget_seen() { execute(store_.database_->raw, "UPDATE peer SET seen=0"); }

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
  if (forgotten_ != 0 && forgotten_ > database.read_number("forgotten")) {
    database.write_fact("forgotten", std::to_string(forgotten_));
  }
  if (next_ticket_ != first_ticket_) database.write_counter("ticket", next_ticket_ - 1);
  database.commit.run();
  open_ = false;
  lock_.unlock();
}

}  // namespace lefting::store
