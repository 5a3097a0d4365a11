// What an index knows of itself: the table `fact`.
#include "common/base/os.h"
#include "common/store/database.h"
#include "common/store/store.h"

namespace lefting::store {

bool Store::is_of_this_boot() {
  const std::lock_guard lock{mutex_};
  const std::string stored = database_->read_fact("boot");
  return stored.empty() || stored == boot_id();
}

void Store::begin_instance() {
  {
    Transaction transaction{*this};
    database_->write_fact("boot", boot_id());
    transaction.commit();
  }
  const std::lock_guard lock{mutex_};
  is_timed_ = true;
  // So that what was written before is safe from all that may become of the log.
  execute(database_->raw, "PRAGMA wal_checkpoint(PASSIVE)");
}

IndexId Store::index_id() {
  const std::lock_guard lock{mutex_};
  const auto id = parse_index_id(database_->read_fact("index"));
  if (!id) throw_damaged("it has lost its index id");
  return *id;
}

bool Store::has_share() {
  const std::lock_guard lock{mutex_};
  return !database_->read_fact("share").empty();
}

void Store::note_share() {
  const std::lock_guard lock{mutex_};
  database_->write_fact("share", "marked");
}

std::optional<ShortId> Store::writer() {
  const std::lock_guard lock{mutex_};
  const std::string text = database_->read_fact("writer");
  if (text.empty()) return std::nullopt;
  const auto writer = parse_short_id(text);
  if (!writer) throw_damaged("it has lost its writer");
  return writer;
}

void Store::set_writer(ShortId writer, bool adopting) {
  Transaction transaction{*this};
  database_->write_fact("writer", to_text(writer));
  if (adopting) database_->write_fact("adopting", to_text(writer));
  transaction.commit();
}

std::optional<ShortId> Store::adopter() {
  const std::lock_guard lock{mutex_};
  const std::string text = database_->read_fact("adopting");
  if (text.empty()) return std::nullopt;
  // What an older Lefting wrote there says no more than that the index does.
  if (text == "1") return parse_short_id(database_->read_fact("writer"));
  const auto adopter = parse_short_id(text);
  if (!adopter) throw_damaged("it has lost its adopter");
  return adopter;
}

void Store::begin_adoption(ShortId adopter) {
  const std::lock_guard lock{mutex_};
  database_->write_fact("adopting", to_text(adopter));
}

void Store::end_adoption() {
  const std::lock_guard lock{mutex_};
  database_->write_fact("adopting", "");
}

std::uint64_t Store::forgotten() {
  const std::lock_guard lock{mutex_};
  return database_->read_number("forgotten");
}

std::string Store::ignore_digest() {
  const std::lock_guard lock{mutex_};
  return database_->read_fact("ignore");
}

std::string Transaction::ignore_digest() { return store_.database_->read_fact("ignore"); }

void Transaction::set_ignore_digest(const std::string& digest) {
  store_.database_->write_fact("ignore", digest);
}

}  // namespace lefting::store
