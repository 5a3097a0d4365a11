#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/store/file_mark.h"

namespace lefting::store {

/// The store can't be used; what() says why and what to do. Ends the process (run_role).
class StoreError : public std::runtime_error {
 public:
  StoreError(const std::string& what, bool is_permanent)
      : std::runtime_error{what}, permanent{is_permanent} {}
  bool permanent;  ///< trying again can't help: damaged, foreign, or of a newer version
};

class Transaction;

/// Of a store that nobody has open any more: what stands in its log goes into its file, and the log
/// goes. Programs that close it at the same instant leave that to one another. Throws StoreError.
void fold_log(const std::string& path);

/// Files of this size or more are found by their content.
inline constexpr std::uint64_t kContentBytes = 65536;

/// What may become of a store's files.
enum class Access {
  write,  ///< made where they are missing, brought up to date
  read,   ///< of a store that other programs write to: only read
  look,   ///< of one that nobody has open: not even -wal and -shm are made. See is_outdated()
};

/// The durable copy (SQLite, WAL): records, tickets, peers. Tables: docs/STATE.md.
///
/// One connection, one mutex: any thread may call any function; a Transaction holds the mutex.
/// Functions that read see the last commit of any process. All throw StoreError.
class Store {
 public:
  /// Throws StoreError: no SQLite file, a foreign one, one of a newer version; where it is only
  /// read also that it is missing, or of an older one.
  explicit Store(const std::string& path, Access access = Access::write);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Lets go of the files until open(); nothing may be asked of it meanwhile.
  void close();
  /// As the constructor; does nothing where it is open.
  void open();
  /// True where Access::look has met a change: what was read since it was opened may be half old
  /// and half new, so close(), open() and read again.
  bool is_outdated() const;

  /// Notes that an instance starts on it. From the first time on a sequence is at least the time in
  /// ms since 1970, times 256: a store that comes from a backup, or from before a crash of the
  /// machine, gives none that its peers know already, as long as the clock is right.
  void begin_instance();

  IndexId index_id();
  /// Whether a share has been marked as this index's (share/marker.h).
  bool has_share();
  void note_share();
  /// False: the machine was started anew since the last begin_instance().
  bool is_of_this_boot();
  /// What this index puts into versions (sync/writer.h); nothing before its first start.
  std::optional<ShortId> writer();
  /// `adopting`: what it finds in the share may be older than what the peers have.
  void set_writer(ShortId writer, bool adopting);
  /// What stands in the versions of files that are found while the share is adopted; nothing
  /// where it is not.
  std::optional<ShortId> adopter();
  void begin_adoption(ShortId adopter);
  void end_adoption();  ///< the whole share has been seen
  /// Which rules of what is ignored the whole index was made by (IgnoreFile::digest()).
  std::string ignore_digest();
  /// The highest counter of this index's writer in a version of a forgotten record.
  std::uint64_t forgotten();
  std::uint64_t last_sequence();  ///< the highest given so far
  /// What was given up to `sequence`, by any process, outlives a power cut too when this returns.
  void make_durable(std::uint64_t sequence);
  /// The same of every commit so far.
  void sync();

  /// A record, or the trace of a tombstone (Record::is_trace()).
  std::optional<Record> find(std::string_view path);
  /// Live records of files with that content, of at least kContentBytes; at most a few.
  std::vector<Record> find_content(std::uint64_t size_bytes, const ContentHash& hash);
  /// Whether there is a live record of a file of that size, of at least kContentBytes, at another
  /// path.
  bool has_size_besides(std::string_view path, std::uint64_t size_bytes);
  /// As it was stored; nothing where the content is not known by that rule.
  std::optional<Manifest> find_manifest(const ContentHash& hash, std::string_view cut);
  void put_manifest(const ContentHash& hash, std::string_view cut, const Manifest& manifest);
  bool has_sketch(const ContentHash& hash);
  /// `sketch` (share/cut.h) may be empty.
  void put_sketch(const Basis& content, const std::vector<std::uint64_t>& sketch);
  /// Contents whose sketches have a block of this one, the likeliest first; at most kMostBases.
  std::vector<Basis> find_bases(const std::vector<std::uint64_t>& sketch);
  /// Whether there is a live record of a file of that size without one.
  bool has_unsketched(std::uint64_t size_bytes);
  /// Of live records of files of at least `least_bytes` (kContentBytes or more) those without.
  std::vector<std::string> unsketched(std::uint64_t least_bytes);
  /// What is known of contents that no file has any more; their sketches `keep_s` seconds after
  /// this was first noticed.
  void drop_contents(std::uint64_t now_s, std::uint64_t keep_s);
  /// path_hash() of each path of a shard that has a trace.
  void for_each_trace(std::size_t shard, const std::function<void(std::uint64_t hash)>& emit);
  /// The last of our changes that all peers have stored; 0 where there is no peer.
  std::uint64_t told_to_all();
  using EmitRecord = std::function<void(const Record&)>;
  void for_each_in_shard(std::size_t shard, const EmitRecord& emit);
  /// The paths below a folder of which there is a live (not deleted) record, and of which there is
  /// a ticket.
  std::vector<std::string> files_below(std::string_view folder);
  std::vector<std::string> tickets_below(std::string_view folder);
  /// Records with sequence > `after`, in its order, at most `most`. Returns how many.
  std::size_t changes_after(std::uint64_t after, std::size_t most, const EmitRecord& emit);
  struct Count {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t deleted = 0;
  };
  Count count();
  std::uint64_t count_deleted();  ///< tombstones; costs little
  void for_each_deleted(std::size_t shard, const EmitRecord& emit);

  using EmitTicket = std::function<void(const Ticket&)>;
  void for_each_ticket(const EmitTicket& emit);  ///< by id
  void for_each_ticket_in_shard(std::size_t shard, const EmitTicket& emit);
  /// Tickets with an id > `id`, in its order, at most `most`.
  std::vector<Ticket> tickets_after(std::uint64_t id, std::size_t most);
  std::optional<Ticket> find_ticket(std::string_view path);

  std::vector<Peer> peers();

 private:
  friend class Transaction;
  struct Database;
  std::string path_;
  Access access_;
  FileMark opened_mark_;
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
  // Guarded by mutex_.
  std::uint64_t durable_ = 0;  ///< as make_durable() knows
  bool is_timed_ = false;      ///< an instance has begun on it
};

/// One write transaction (BEGIN IMMEDIATE). Rolled back unless committed.
///
/// Takes no lock of the segment, and none may be taken while it lives (lock order: shard, store).
class Transaction {
 public:
  explicit Transaction(Store& store);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// The number that the next put_record will get / the next new ticket.
  std::uint64_t next_sequence() const;
  std::uint64_t next_ticket() const;
  /// None up to `sequence` will be given. Ignored where that is over a year ahead.
  void skip_sequences(std::uint64_t sequence);

  /// Gives the record its sequence and stores it, if the path's record in the store still has
  /// sequence `base` (0: there is none). False: somebody was faster, nothing is stored.
  bool put_record(Record& record, std::uint64_t base);

  /// As if the path never had had a record.
  void forget_record(std::string_view path);
  /// Leaves of a tombstone only a trace, if it still is the path's record.
  void fade(const Record& tombstone);

  /// Stores a new ticket and gives it its id, unless the path has one already: then false.
  bool add_ticket(Ticket& ticket);
  std::optional<Ticket> find_ticket(std::string_view path);
  /// Stores a ticket in the place of the path's old one and gives it a new id.
  void put_ticket(Ticket& ticket);
  /// Its sources, its hash, and whether it was only announced. Nothing where its id is gone.
  void set_ticket_offer(const Ticket& ticket);
  void set_ticket_done(std::string_view path, std::uint64_t id,
                       const std::vector<std::uint8_t>& done);
  /// Only if the path's ticket still has that id.
  void remove_ticket(std::string_view path, std::uint64_t id);
  /// remove_ticket() if it has no source, or was only announced. False: it stays.
  bool give_up_ticket(std::string_view path, std::uint64_t id);

  /// Slot -1 takes the lowest free one and sets it. Throws StoreError where all are taken.
  void put_peer(Peer& peer);
  /// Takes it out of the list, and forget_offers() of all.
  void remove_peer(int slot);
  /// Takes it out of every ticket's sources. What only it had is given up by the downloader, and
  /// the others' lists are taken anew, since they may have offered something older meanwhile.
  /// False: it had offered nothing that is still wanted.
  bool forget_offers(int slot, Offers offers);
  /// The peers' lists are taken anew.
  void forget_seen();
  std::string ignore_digest();
  void set_ignore_digest(const std::string& digest);
  std::optional<Peer> find_peer(int slot);
  bool has_device(const DeviceId& device);  ///< in any slot

  void commit();

 private:
  Store& store_;
  std::unique_lock<std::mutex> lock_;
  bool open_ = true;
  std::uint64_t first_sequence_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t first_ticket_ = 0;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace lefting::store
