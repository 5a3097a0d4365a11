#include "tests/model/host.h"

#include <algorithm>

#include "common/sync/announcement.h"
#include "common/sync/copy.h"
#include "common/sync/decide.h"
#include "common/sync/observe.h"
#include "common/sync/peer_facts.h"
#include "common/sync/wish.h"

namespace lefting::model {

Host::Host(std::size_t number, const std::uint64_t& world_ms, std::mt19937_64& random, Story& story)
    : number_{number}, world_ms_{world_ms}, random_{random}, story_{story} {
  store.index = random_() | 1;
  store.writer = *parse_short_id(std::string(8, static_cast<char>('A' + number)));
  durable_ = store;
  back_up();
}

std::uint64_t Host::now_ms() const {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(world_ms_) + clock_ahead_ms);
}

void Host::change_hash() {
  hash_kind = hash_kind == HashKind::sha256 ? HashKind::blake3 : HashKind::sha256;
}

const Record* Host::record_of(const std::string& path) const {
  const auto at = store.records.find(path);
  return at == store.records.end() ? nullptr : &at->second;
}

bool Host::commit(Record record, std::uint64_t base) {
  const Record* now = record_of(record.entry.path);
  if ((now == nullptr ? 0 : now->sequence) != base) return false;
  story_.tell(number_, "records", record.entry);
  store.sequence = std::max(store.sequence + 1, now_ms() << 8);
  record.sequence = store.sequence;
  store.records[record.entry.path] = std::move(record);
  return true;
}

void Host::ignore(const std::string& path) {
  if (job_ || found_) return;  // the rules change between two batches
  const Record* record = record_of(path);
  story_.tell(number_, "ignores", path);
  store.ignored.insert(path);
  if (record != nullptr && !record->entry.deleted) {
    for (const VersionCounter& one : record->entry.version) {
      if (one.device == store.writer) store.forgotten = std::max(store.forgotten, one.counter);
    }
    store.records.erase(path);
  }
  store.tickets.erase(path);
  disk.discard_partial(path);
  for (Peer& peer : store.peers) peer.seen = 0;
}

void Host::heed_all() {
  if (store.ignored.empty()) return;
  story_.tell(number_, "ignores nothing more");
  store.ignored.clear();
  store.adopter = new_writer();
  for (Peer& peer : store.peers) peer.seen = 0;
}

void Host::look_at(const std::string& path, std::uint64_t now) {
  if (ignores(path)) return;
  const auto ticket = store.tickets.find(path);
  const auto is_at_work = [this](const std::string& at) {
    return store.tickets.contains(at) && !waiting_.contains(at);
  };
  const auto copy = sync::parse_conflict_path(path);
  const bool downloaders = is_at_work(path) || (copy && is_at_work(copy->original));
  const Record* record = record_of(path);
  const sync::Finder finder{store.writer, store.adopter, now, store.forgotten};
  const std::uint64_t base = record == nullptr ? 0 : record->sequence;
  const auto stat = disk.stat(path);
  if (!stat || stat->type != share::FileType::file) {
    auto gone = sync::found_missing(record, finder);
    if (gone && !downloaders) found_ = Found{std::move(*gone), base, stat};
    return;
  }
  if (record != nullptr && share::is_unchanged(*stat, *record)) return;
  if (downloaders) return;
  const Content content = disk.content(path);
  const ContentHashes hashes =
      hashes_of(content, sync::kinds_to_record(record, stat->size, hash_kind));
  Record found =
      sync::found_file(record, path, *stat, sync::recorded_hash(hashes, record, hash_kind), finder);
  sync::Here here{.record = record, .standing = sync::Standing::other, .hashes = {}};
  here.set_file(*stat);
  if (ticket != store.tickets.end()) {
    here.hashes =
        hashes_of(content, sync::kinds_of_placed(ticket->second, here, store.writer, now));
    if (sync::is_placed(ticket->second, here, store.writer, now)) {
      waiting_.erase(path);
      return;
    }
  }
  found_ = Found{std::move(found), base, stat};
}

std::optional<News> Host::announcement() const {
  if (!found_ || found_->record.entry.deleted || store.adopter) return std::nullopt;
  News news{{}, {found_->record.entry}};
  news.entries[0].hash.reset();
  return news;
}

void Host::commit_found() {
  if (found_ && disk.stat(found_->record.entry.path) == found_->seen) {
    commit(std::move(found_->record), found_->base);
  }
  found_.reset();
}

std::set<std::string> Host::known_paths() const {
  std::set<std::string> paths = disk.paths();
  for (const auto& [path, record] : store.records) {
    if (!record.entry.deleted) paths.insert(path);
  }
  return paths;
}

News Host::news_for(const Host& peer) {
  sync_store();
  std::uint64_t from = store.peers[peer.number_].told;
  if (from > store.sequence) from = 0;
  News news{wire::IndexRange{store.index, from, store.sequence}, {}};
  for (const auto& [path, record] : store.records) {
    if (record.sequence > from) news.entries.push_back(record.entry);
  }
  return news;
}

void Host::meet_index(std::size_t from, IndexId index) {
  const IndexId known = store.peers[from].index;
  if (known != 0 && known != index) forget_offers(from);
}

void Host::forget_offers(std::size_t from) {
  const std::uint64_t bit = std::uint64_t{1} << from;
  bool any = false;
  for (auto& [path, ticket] : store.tickets) {
    if (ticket.wanted.deleted) continue;  // it needs nobody, and may have only a trace there
    any |= (ticket.sources & bit) != 0;
    ticket.sources &= ~bit;
  }
  if (any) {
    for (Peer& peer : store.peers) peer.seen = 0;
  }
  waiting_.clear();
}

void Host::take_entries(std::size_t from, const News& news, std::uint64_t now) {
  if (news.range) meet_index(from, news.range->id);
  for (const Entry& entry : news.entries) {
    if (ignores(entry.path)) continue;
    const Record* record = record_of(entry.path);
    const sync::Offer offer = sync::judge_offer(record, entry, store.writer, now);
    if (offer == sync::Offer::revive) commit(*record, 0);
    if (offer != sync::Offer::wish) continue;
    Ticket ticket;
    ticket.wanted = entry;
    ticket.sources = std::uint64_t{1} << from;
    ticket.announced = !news.range && sync::is_announcement(entry);
    const auto old = store.tickets.find(entry.path);
    const sync::Joined joined =
        old == store.tickets.end() ? sync::Joined::replaces : sync::join_wish(old->second, ticket);
    if (joined == sync::Joined::refused || joined == sync::Joined::known) continue;
    if (joined == sync::Joined::replaces) {
      ticket.id = ++store.ticket;
      waiting_.erase(entry.path);
      const bool was_unproved = old != store.tickets.end() && unproved_.contains(old->second.id);
      if (was_unproved) unproved_.insert(ticket.id);
    }
    store.tickets[entry.path] = std::move(ticket);
  }
}

void Host::take_range(std::size_t from, const News& news) {
  if (news.range) sync::take_range(store.peers[from], *news.range);
}

void Host::hear_seen(Host& peer) {
  peer.sync_store();
  const Peer& facts = peer.store.peers[number_];
  Peer& known = store.peers[peer.number_];
  wire::Greeting hello;
  hello.seen = wire::Seen{facts.index, facts.seen, facts.most_seen};
  if (facts.index == store.index) store.sequence = std::max(store.sequence, facts.most_seen);
  if (sync::has_gone_back(known.most_told, hello, store.index)) {
    forget_offers(peer.number_);
    known.seen = known.most_told = 0;
  }
  sync::take_greeting(known, hello, store.index, "");
}

void Host::fade_tombstones(std::size_t hosts) {
  std::uint64_t acknowledged = store.sequence;
  for (std::size_t i = 0; i < hosts; ++i) {
    if (i != number_) acknowledged = std::min(acknowledged, store.peers[i].told);
  }
  for (auto& [path, record] : store.records) {
    if (!record.entry.deleted || record.is_trace() || record.sequence > acknowledged) continue;
    record.sequence = 0;
    story_.tell(number_, "keeps a trace of", record.entry);
  }
}

Host::Served Host::serve(const Entry& wanted) const {
  if (!up) return {};
  if (!wanted.hash) return serve_announced(wanted);
  const Record* record = record_of(wanted.path);
  if (record == nullptr || record->entry.deleted) return {{}, sync::has_lost(wanted, {})};
  if (record->entry.hash != wanted.hash) return {{}, sync::has_lost(wanted, record->entry)};
  const auto stat = disk.stat(wanted.path);
  if (!stat || !share::is_unchanged(*stat, *record)) return {};
  return {disk.content(wanted.path), false};
}

Host::Served Host::serve_announced(const Entry& wanted) const {
  const auto stat = disk.stat(wanted.path);
  const bool is_it = stat && stat->type == share::FileType::file && stat->size == wanted.size &&
                     stat->mtime_ns == wanted.mtime_ns;
  return is_it ? Served{disk.content(wanted.path)} : Served{{}, true};
}

Host::Served Host::serve_entry(const Entry& wanted) const {
  if (!up || standing_of(wanted.path) == sync::Standing::other) return {};
  const Record* record = record_of(wanted.path);
  const bool is_there = record != nullptr && !record->entry.deleted;
  const auto now = is_there ? std::optional{record->entry} : std::nullopt;
  if (!now || !sync::is_announced(wanted, *now)) return {{}, true};
  return {{}, false, now->hash};
}

sync::Standing Host::standing_of(const std::string& path) const {
  const auto stat = disk.stat(path);
  if (!stat) return sync::Standing::nothing;
  if (stat->type == share::FileType::folder) return sync::Standing::folder;
  const Record* record = record_of(path);
  const bool untouched = record != nullptr && share::is_unchanged(*stat, *record);
  return untouched ? sync::Standing::recorded : sync::Standing::other;
}

void Host::kill() {
  job_.reset();
  found_.reset();
  waiting_.clear();
}

ShortId Host::new_writer() {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>('A' + random_() % 26);
  return *parse_short_id(text);
}

bool Host::power_cut() {
  kill();
  disk.power_cut(random_);
  const bool forgets = random_() % 2 == 0 &&
                       (durable_.sequence != store.sequence || durable_.ticket != store.ticket);
  if (forgets) store = durable_;
  if (store.adopter) store.adopter = store.writer = new_writer();
  durable_ = store;
  return forgets;
}

void Host::back_up() { backup_ = {store, disk}; }

void Host::go_back(bool with_disk) {
  kill();
  store = backup_.store;
  durable_ = store;
  if (with_disk) disk = backup_.disk;
  // Their partial files may be of later wishes.
  for (const auto& [path, ticket] : store.tickets) unproved_.insert(ticket.id);
}

void Host::lose_store() {
  kill();
  store = Store{};
  store.index = random_() | 1;
  store.writer = new_writer();
  store.adopter = store.writer;
  durable_ = store;
}

}  // namespace lefting::model
