#include "common/store/store.h"

#include "common/base/os.h"
#include "common/base/shard.h"
#include "common/store/database.h"

namespace lefting::store {

namespace {

// More than any crash can lose, and little enough for two million crashes within 2^53.
constexpr std::uint64_t kSequenceJump = std::uint64_t{1} << 32;

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id");
  return text.ok() ? text.take().substr(0, 36) : std::string{};
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

}  // namespace lefting::store
