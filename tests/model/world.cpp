#include "tests/model/world.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace lefting::model {

namespace {

constexpr std::array<const char*, 6> kPaths = {"a", "b", "c/x", "c/y", "d", "d/x"};
/// So many rounds in which all is told and done must do.
constexpr int kMostRounds = 60;

}  // namespace

Weather weather_of(std::uint64_t seed) {
  std::mt19937_64 random{seed * 7919 + 1};
  Weather weather;
  weather.hosts = 2 + random() % 4;
  weather.steps = static_cast<unsigned>(60 + random() % 200);
  weather.deaths = random() % 4 != 0;
  weather.power_cuts = random() % 3 == 0;
  weather.lost_stores = random() % 5 == 0;
  weather.wrong_clocks = random() % 3 == 0;
  weather.long_absences = random() % 3 == 0;
  weather.ignore_rules = random() % 5 == 0;
  weather.backups = random() % 4 == 0 && !weather.wrong_clocks;
  weather.mixed_hashes = random() % 3 == 0;
  return weather;
}

World::World(std::uint64_t seed) : random_{seed}, weather_{weather_of(seed)} {
  hosts_.reserve(weather_.hosts);
  for (std::size_t i = 0; i < weather_.hosts; ++i)
    hosts_.emplace_back(i, time_ms_, random_, story_);
  if (!weather_.mixed_hashes) return;
  for (std::size_t i = 0; i < hosts_.size(); i += 2) hosts_[i].hash_kind = HashKind::sha256;
}

std::string World::any_path() {
  // A conflict's copy is an ordinary file.
  if (pick(8) == 0) {
    const auto paths = hosts_[pick(static_cast<unsigned>(hosts_.size()))].disk.paths();
    if (!paths.empty()) return *std::next(paths.begin(), pick(static_cast<unsigned>(paths.size())));
  }
  return kPaths[pick(kPaths.size())];
}

/// What Lefting had not recorded there it can't know to be gone, if it dies now.
void World::gone(Host& host, const std::string& path) {
  const Content content = host.disk.content(path);
  if (!host.has_recorded(path)) ledger_.touched(path, content);
  ledger_.ended(path, content);
}

/// The user sees what is there, and means it.
void World::user_ends(Host& host, const std::string& path) {
  for (const auto& [name, file] : host.disk.files()) {
    const bool in_the_way = name.starts_with(path + "/") || path.starts_with(name + "/");
    if (name == path || in_the_way) gone(host, name);
  }
}

void World::user_writes(Host& host, const std::string& path, std::int64_t later_ms) {
  user_ends(host, path);
  // What is put there while nobody looks is often older.
  if (host.ignores(path)) later_ms -= pick(5000);
  const Content content = next_content_++;
  ledger_.wrote(path, content);
  // Sizes and times that are often alike.
  const auto mtime = (static_cast<std::int64_t>(clock(host) / 50 * 50) + later_ms) * 1'000'000;
  host.disk.user_write(path, content, 1 + pick(2), mtime);
  story_.tell("user", host.number(), "writes", path, content);
}

void World::user(Host& host) {
  const std::string path = any_path();
  const Content there = host.disk.content(path);
  const unsigned what = pick(10);
  if (what < 5 || there == kNothing) return user_writes(host, path);
  if (what < 7) {
    gone(host, path);
    host.disk.user_remove(path);
    return story_.tell("user", host.number(), "removes", path, there);
  }
  if (what == 7) {
    ledger_.touched(path, there);
    host.disk.user_touch(path, static_cast<std::int64_t>(clock(host)) * 1'000'000);
    return story_.tell("user", host.number(), "touches", path, there);
  }
  const std::string to = any_path();
  if (to == path || to.starts_with(path + "/") || path.starts_with(to + "/")) return;
  if (host.disk.content(to) == there) ledger_.touched(to, there);
  user_ends(host, to);
  if (!host.has_recorded(path)) ledger_.touched(path, there);
  // It may lose a conflict under its next name, and come back as a copy.
  if (path.find(".conflict-") != path.npos) ledger_.touched(path, there);
  ledger_.left(path, there);
  ledger_.wrote(to, there);
  host.disk.user_rename(path, to);
  story_.tell("user", host.number(), "renames", path, to, there);
}

void World::traverse(Host& host) {
  for (const std::string& path : host.known_paths()) {
    host.look_at(path, clock(host));
    host.commit_found();
  }
}

bool World::work(Host& host) { return host.work(clock(host), ask()); }

void World::deliver(std::size_t from, std::size_t to, const News& news, bool whole) {
  Host& host = hosts_[to];
  if (!host.up) return;
  host.take_entries(from, news, clock(host));
  if (!whole) return;  // it died in between
  host.take_range(from, news);
}

void World::talk() {
  const std::size_t from = pick(static_cast<unsigned>(hosts_.size()));
  const std::size_t to = pick(static_cast<unsigned>(hosts_.size()));
  if (from == to) return;
  auto& wire = wires_[from][to];
  const unsigned what = pick(10);
  if (what < 3) {
    if (hosts_[from].up && wire.size() < 4) wire.push_back(hosts_[from].news_for(hosts_[to]));
  } else if (what < 5) {
    if (hosts_[from].up && hosts_[to].up) hosts_[from].hear_seen(hosts_[to]);
  } else if (!wire.empty()) {
    const std::size_t which = pick(static_cast<unsigned>(wire.size()));
    const News news = wire[which];
    if (pick(3) != 0) wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(which));
    story_.tell("news", from, "to", to, news.entries.size());
    if (pick(8) != 0) deliver(from, to, news, pick(8) != 0);
  }
}

/// Some hear of it, at once or later.
void World::announce(const Host& host) {
  const auto news = host.announcement();
  if (!news) return;
  story_.tell("announces", host.number(), news->entries[0]);
  for (std::size_t to = 0; to < hosts_.size(); ++to) {
    if (to == host.number() || pick(3) == 0) continue;
    if (pick(2) == 0) deliver(host.number(), to, *news, true);
    auto& wire = wires_[host.number()][to];
    if (wire.size() < 4 && pick(2) == 0) wire.push_back(*news);
  }
}

/// What was removed elsewhere while it was ignored here may be back.
void World::change_rules(Host& host) {
  has_forgotten_ = true;
  if (host.ignores_any() && pick(2) == 0) return host.heed_all();
  host.ignore(any_path());
}

void World::put_back(Host& host) {
  if (pick(3) != 0) return host.back_up();
  has_forgotten_ = true;
  const bool with_disk = pick(2) == 0;
  story_.tell("put back", host.number(), with_disk);
  if (with_disk) {
    for (const auto& [path, file] : host.disk.files()) ledger_.excuse(file.content);
  }
  host.go_back(with_disk);
  for (auto& wire : wires_[host.number()]) wire.clear();
}

void World::misfortune(Host& host) {
  if (weather_.backups && pick(4) == 0) return put_back(host);
  if (weather_.ignore_rules && host.up && pick(3) == 0) return change_rules(host);
  const unsigned what = pick(12);
  if (what < 5 && weather_.deaths) {
    host.kill();
    story_.tell("killed", host.number());
  } else if (what < 7 && weather_.power_cuts) {
    const bool forgets = host.power_cut();
    has_forgotten_ |= forgets;
    story_.tell("power cut", host.number(), forgets);
  } else if (what == 7 && weather_.lost_stores && pick(4) == 0) {
    host.lose_store();
    has_forgotten_ = true;
    story_.tell("store lost", host.number());
    // What comes from a backup is older than what others know of its path.
    while (pick(3) != 0) user_writes(host, any_path(), -static_cast<std::int64_t>(pick(1000)));
  } else if (what == 8 && weather_.wrong_clocks) {
    host.clock_ahead_ms = static_cast<std::int64_t>(pick(4'000'000)) - 2'000'000;
    story_.tell("clock", host.number(), host.clock_ahead_ms);
  } else if (what < 11) {
    if (host.up && (weather_.long_absences || pick(3) == 0)) {
      host.kill();
      host.up = false;
      story_.tell("down", host.number());
    }
  }
}

void World::step() {
  time_ms_ += pick(40);
  Host& host = hosts_[pick(static_cast<unsigned>(hosts_.size()))];
  const unsigned what = pick(100);
  if (what < 12) return user(host);
  if (what < 30) return talk();
  if (what < 33) return misfortune(host);
  if (what < 34) return host.sync_store();
  if (what < 35) return calm();
  if (!host.up) {
    host.up = pick(weather_.long_absences ? 12 : 3) == 0;
    if (host.up) story_.tell("up", host.number());
    if (weather_.mixed_hashes && pick(4) == 0) host.change_hash();
    return;
  }
  if (what < 36) {
    traverse(host);
    if (host.store.adopter && pick(2) == 0) host.end_adoption();
  } else if (what < 60) {
    if (host.has_found() && pick(3) == 0) return announce(host);
    if (host.has_found()) return host.commit_found();
    const auto paths = host.known_paths();
    if (paths.empty()) return;
    host.look_at(*std::next(paths.begin(), pick(static_cast<unsigned>(paths.size()))), clock(host));
  } else {
    if (pick(6) == 0) host.requeue();
    work(host);
  }
}

/// One round in which everything is told and done. False: nothing changed.
bool World::settle_once() {
  time_ms_ += 100;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  for (const Host& host : hosts_) before += host.store.sequence + host.store.tickets.size();
  bool worked = false;
  for (Host& host : hosts_) {
    if (!host.up) continue;
    traverse(host);
    host.end_adoption();
    host.requeue();
    for (int i = 0; i < 1000 && work(host); ++i) worked = true;
  }
  bool told = false;
  for (Host& from : hosts_) {
    for (Host& to : hosts_) {
      if (from.number() == to.number() || !from.up || !to.up) continue;
      from.hear_seen(to);
      const News news = from.news_for(to);
      deliver(from.number(), to.number(), news, true);
      from.hear_seen(to);
      told |= !news.entries.empty();
    }
  }
  for (const Host& host : hosts_) after += host.store.sequence + host.store.tickets.size();
  return worked || told || before != after;
}

/// Nobody changes anything for a while, so that there are tombstones that all have.
void World::calm() {
  story_.tell("calm", 0);
  for (unsigned i = 1 + pick(3); i > 0; --i) settle_once();
  for (Host& host : hosts_) {
    if (host.up && pick(4) != 0) host.fade_tombstones(hosts_.size());
  }
}

std::string World::come_to_rest() {
  for (Host& host : hosts_) {
    host.up = true;
    host.kill();
    host.heed_all();
  }
  for (int round = 0; round < kMostRounds; ++round) {
    if (!settle_once()) return fault_at_rest();
    for (Host& host : hosts_) {
      if (has_forgotten_) host.tidy_up(ask());
    }
    if (std::string fault = fault_now(); !fault.empty()) return fault;
  }
  return "it does not come to rest";
}

/// What must never be, at no instant.
std::string World::fault_now() const {
  for (const Host& host : hosts_) {
    if (host.has_mixed()) return fmt::format("{} resumes another version", host.number());
    for (const auto& [path, file] : host.disk.files()) {
      if (ledger_.was_written(file.content)) continue;
      return fmt::format("{} on {} holds what nobody wrote", path, host.number());
    }
  }
  const auto owed = ledger_.owed();
  for (const Content content : owed) {
    const bool there = std::ranges::any_of(hosts_, [&](const Host& host) {
      return std::ranges::any_of(host.disk.files(),
                                 [&](const auto& item) { return item.second.content == content; });
    });
    if (!there) return fmt::format("content {} is lost", content);
  }
  return "";
}

std::string World::fault_at_rest() const {
  if (std::string fault = fault_now(); !fault.empty()) return fault;
  const Host& first = hosts_.front();
  for (const Host& host : hosts_) {
    if (!host.store.tickets.empty()) {
      return fmt::format("{} has a ticket for {}", host.number(),
                         host.store.tickets.begin()->first);
    }
    if (!has_forgotten_ && !host.disk.partials().empty()) {
      return fmt::format("{} has a partial file of {}", host.number(),
                         host.disk.partials().begin()->first);
    }
    if (host.disk.paths() != first.disk.paths()) {
      return fmt::format("{} and 0 have other files", host.number());
    }
    for (const auto& [path, file] : host.disk.files()) {
      if (file.content != first.disk.content(path)) return path + " differs";
      const auto record = host.store.records.find(path);
      if (record == host.store.records.end() ||
          !hashes_of(file.content).has(record->second.entry.hash)) {
        return fmt::format("{} on {} is not recorded as it is", path, host.number());
      }
      const Entry& entry = record->second.entry;
      if (entry != first.store.records.at(path).entry) return path + ": the versions differ";
      if (!has_forgotten_ && ledger_.must_not_be(path, file.content)) {
        return fmt::format("{} was removed with {} in it, and is back", path, file.content);
      }
    }
  }
  return "";
}

std::string World::run() {
  for (unsigned i = 0; i < weather_.steps; ++i) {
    step();
    if (std::string fault = fault_now(); !fault.empty()) return fault;
  }
  const std::string fault = come_to_rest();
  for (const Host& host : hosts_) {
    for (const auto& [path, record] : host.store.records) {
      story_.tell("at the end", host.number(), record.entry, "on disk:", host.disk.content(path));
    }
    for (const auto& [path, ticket] : host.store.tickets) {
      story_.tell("at the end", host.number(), "wants", ticket.wanted);
    }
  }
  return fault;
}

}  // namespace lefting::model
