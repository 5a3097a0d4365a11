#include "common/store/store.h"

#include "common/base/shard.h"
#include "common/store/database.h"
#include "common/store/read_only.h"

namespace lefting::store {

namespace {

std::vector<std::string> paths_below(Statement& select, std::string_view folder) {
  const std::string first = std::string{folder} + "/";
  const std::string beyond = std::string{folder} + "0";  // '0' follows '/'
  std::vector<std::string> out;
  Query query{select};
  query->bind_blob(1, first).bind_blob(2, beyond);
  while (query->step()) out.emplace_back(query->blob(0));
  return out;
}

}  // namespace

Store::Store(const std::string& path, Access access) : path_{path}, access_{access} { open(); }
Store::~Store() = default;

void Store::close() {
  const std::lock_guard lock{mutex_};
  database_.reset();
}

void Store::open() {
  const std::lock_guard lock{mutex_};
  if (database_) return;
  opened_mark_ = file_mark(path_);  // before it is opened: what changes from now on is noticed
  database_ = std::make_unique<Database>(path_, access_);
  is_timed_ = !database_->read_fact("boot").empty();
}

bool Store::is_outdated() const {
  return is_immutable(database_->raw) && opened_mark_ != file_mark(path_);
}

std::uint64_t Store::last_sequence() {
  const std::lock_guard lock{mutex_};
  return database_->read_counter("sequence");
}

void Store::make_durable(std::uint64_t sequence) {
  const std::lock_guard lock{mutex_};
  if (sequence <= durable_) return;
  const std::uint64_t last = database_->read_counter("sequence");
  sync_log(database_->raw);
  durable_ = last;
}

void Store::sync() {
  const std::lock_guard lock{mutex_};
  sync_log(database_->raw);
}

std::optional<Record> Store::find(std::string_view path) {
  const std::lock_guard lock{mutex_};
  if (auto record = find_record(database_->find, path)) return record;
  return find_trace(database_->trace, path);
}

void Store::for_each_trace(std::size_t shard, const std::function<void(std::uint64_t hash)>& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->shard_traces};
  const std::uint64_t first = std::uint64_t{shard} << 58;
  query->bind(1, trace_key(first)).bind(2, trace_key(first + ((std::uint64_t{1} << 58) - 1)));
  while (query->step()) emit(hash_of_trace(query->signed_number(0)));
}

std::uint64_t Store::told_to_all() {
  const std::lock_guard lock{mutex_};
  Query query{database_->least_told};
  return query->step() && !query->is_null(0) ? query->number(0) : 0;
}

void Store::for_each_in_shard(std::size_t shard, const EmitRecord& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->shard};
  query->bind(1, std::uint64_t{shard});
  while (query->step()) {
    const Record record = read_record(database_->shard);
    if (shard_of(record.entry.path) != shard) throw_damaged("a row stands in another shard");
    emit(record);
  }
}

std::vector<std::string> Store::files_below(std::string_view folder) {
  const std::lock_guard lock{mutex_};
  return paths_below(database_->files_below, folder);
}

std::vector<std::string> Store::tickets_below(std::string_view folder) {
  const std::lock_guard lock{mutex_};
  return paths_below(database_->tickets_below, folder);
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

std::uint64_t Store::count_deleted() {
  const std::lock_guard lock{mutex_};
  Query query{database_->count_deleted};
  return query->step() ? query->number(0) : 0;
}

void Store::for_each_deleted(std::size_t shard, const EmitRecord& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->deleted};
  query->bind(1, std::uint64_t{shard});
  while (query->step()) emit(read_record(database_->deleted));
}

void Store::for_each_ticket(const EmitTicket& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->tickets};
  while (query->step()) emit(read_ticket(database_->tickets));
}

void Store::for_each_ticket_in_shard(std::size_t shard, const EmitTicket& emit) {
  const std::lock_guard lock{mutex_};
  Query query{database_->shard_tickets};
  query->bind(1, std::uint64_t{shard});
  while (query->step()) emit(read_ticket(database_->shard_tickets));
}

std::vector<Ticket> Store::tickets_after(std::uint64_t id, std::size_t most) {
  const std::lock_guard lock{mutex_};
  std::vector<Ticket> out;
  Query query{database_->tickets_after};
  query->bind(1, id).bind(2, std::uint64_t{most});
  while (query->step()) out.push_back(read_ticket(database_->tickets_after));
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

}  // namespace lefting::store
