#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/sync/plan.h"
#include "common/wire/messages.h"
#include "tests/model/disk.h"
#include "tests/model/story.h"

namespace lefting::model {

inline constexpr std::size_t kMostHosts = 5;

/// What a store holds: a value, so that a power cut can take the last commits back.
struct Store {
  std::map<std::string, Record> records;
  std::map<std::string, Ticket> tickets;
  std::uint64_t sequence = 0;
  std::uint64_t ticket = 0;
  IndexId index = 0;
  ShortId writer;
  std::optional<ShortId> adopter;
  std::set<std::string> ignored;
  std::uint64_t forgotten = 0;  ///< the highest counter of its writer in a forgotten version
  std::array<Peer, kMostHosts> peers;
};

/// A list on its way: changes (from, to] of an index.
struct News {
  std::optional<wire::IndexRange> range;  ///< nothing: an announcement
  std::vector<Entry> entries;
};

/// One machine: a share, a store, and the scanner, listener and downloader over the real rules.
/// Each function is a step between two of which anything may happen.
class Host {
 public:
  Host(std::size_t number, const std::uint64_t& world_ms, std::mt19937_64& random, Story& story);

  Disk disk;
  Store store;
  bool up = true;
  std::int64_t clock_ahead_ms = 0;
  HashKind hash_kind = HashKind::blake3;  ///< of what it finds

  std::size_t number() const { return number_; }
  std::uint64_t now_ms() const;

  void change_hash();

  // The scanner.
  void look_at(const std::string& path, std::uint64_t now);
  bool has_found() const { return found_.has_value(); }
  void commit_found();
  /// What was found, before it is hashed; nothing where it is no file.
  std::optional<News> announcement() const;
  void end_adoption() { store.adopter.reset(); }
  /// New rules: this path is not synced from now on; or all are again, and are adopted.
  void ignore(const std::string& path);
  void heed_all();
  bool ignores(const std::string& path) const { return store.ignored.contains(path); }
  bool ignores_any() const { return !store.ignored.empty(); }
  /// Leaves of tombstones that all `hosts` have only traces.
  void fade_tombstones(std::size_t hosts);
  /// The record is of the file that stands there.
  bool has_recorded(const std::string& path) const {
    return standing_of(path) == sync::Standing::recorded;
  }
  /// The paths that a traversal looks at.
  std::set<std::string> known_paths() const;

  // The listener.
  /// What is told is on disk before.
  News news_for(const Host& peer);
  void meet_index(std::size_t from, IndexId index);
  void take_entries(std::size_t from, const News& news, std::uint64_t now);
  void take_range(std::size_t from, const News& news);
  /// As a greeting's `seen`, which is on disk before it is said.
  void hear_seen(Host& peer);
  /// What a source answers who is asked for a block, or for the entry.
  struct Served {
    std::optional<Content> content;
    bool has_lost = false;              ///< it will never have that
    std::optional<ContentHash> hash{};  ///< of an entry
  };
  Served serve(const Entry& wanted) const;
  /// Of what was announced.
  Served serve_announced(const Entry& wanted) const;
  Served serve_entry(const Entry& wanted) const;

  // The downloader. False: there was nothing to do.
  enum class Part { block, entry };
  using Fetch = std::function<Served(std::size_t from, const Entry& wanted, Part part)>;
  bool work(std::uint64_t now, const Fetch& fetch);
  bool is_working() const { return job_.has_value(); }
  /// What a user does who reads the log: removes partial files whose tickets are forgotten, and
  /// frees the place of what nobody has any more, so that its source is asked and its ticket ends.
  void tidy_up(const Fetch& fetch);
  /// It took blocks of another version for done.
  bool has_mixed() const { return has_mixed_; }
  void requeue() { waiting_.clear(); }

  void kill();
  /// True: commits were lost, and with them what a user did on top of them.
  bool power_cut();
  void lose_store();
  void back_up();
  /// The store, and perhaps the whole machine, is again what it was at the last back_up().
  void go_back(bool with_disk);
  void sync_store() { durable_ = store; }

 private:
  enum class Stage { begin, fetch, prove, keep, publish, sync, record };
  struct Found {
    Record record;
    std::uint64_t base = 0;
    std::optional<share::FileStat> seen;  ///< what stood there when it was looked at
  };
  struct Job {
    Ticket ticket;
    Stage stage = Stage::begin;
    std::optional<Record> record;
    std::optional<share::FileStat> found;
    sync::Plan plan;
    std::size_t block = 0;
    share::FileStat placed;
    std::optional<Found> kept;
  };
  const Record* record_of(const std::string& path) const;
  sync::Standing standing_of(const std::string& path) const;
  bool commit(Record record, std::uint64_t base);
  void begin(Job& job, std::uint64_t now);
  void carry_out(Job& job, std::uint64_t now);
  void fetch_block(Job& job, const Fetch& fetch);
  bool learn_hash(Job& job, const Fetch& fetch);
  void prove(Job& job, const Fetch& fetch);
  bool keep(Job& job, const Record& loser, share::FileStat& stat);
  void keep_loser(Job& job);
  void make_way(Job& job, std::uint64_t now);
  void forget_offers(std::size_t from);
  void give_up_announced(const Job& job);
  void forget_source(const Ticket& ticket, std::size_t from);
  std::size_t pick_source(std::uint64_t sources);
  void record_result(Job& job, std::uint64_t now_ms);
  bool is_current(const Job& job) const;
  void put_off();
  void end_ticket(const Ticket& ticket);
  ShortId new_writer();

  struct Backup {
    Store store;
    Disk disk;
  };
  std::size_t number_;
  const std::uint64_t& world_ms_;
  std::mt19937_64& random_;
  Story& story_;
  Store durable_;
  Backup backup_;
  std::set<std::uint64_t> unproved_;  ///< tickets whose blocks may be of other content
  std::set<std::string> waiting_;     ///< paths of tickets that were put off
  std::optional<Job> job_;
  std::optional<Found> found_;
  bool has_mixed_ = false;
};

}  // namespace lefting::model
