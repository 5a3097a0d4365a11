#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/settings.h"
#include "common/role/role.h"
#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/tickets.h"
#include "common/store/store.h"
#include "supervisor/control_client.h"
#include "supervisor/counted.h"
#include "supervisor/held_signals.h"
#include "supervisor/part_reader.h"

namespace lefting::supervisor {

/// One role, as people and programs want to see it.
struct RoleView {
  std::string role;
  std::string state;
  std::int64_t pid = 0;
  std::uint32_t restarts = 0;
  std::int32_t last_exit = 0;
  std::uint64_t heartbeat_age_ms = 0;
  std::uint64_t uptime_ms = 0;
  std::string reason;  ///< of one that has failed: the last it said
};

/// How much there is of everything.
struct Counts {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t deleted = 0;  ///< tombstones
  state::TicketQueue::Totals tickets;
  std::uint64_t received = 0;  ///< bytes of file data since the instance was started
  std::uint64_t sent = 0;
  std::uint64_t skipped = 0;     ///< symlinks, devices and the like that the last traversal met
  std::uint64_t unreadable = 0;  ///< files and folders that it could not read
  std::uint64_t ignored = 0;     ///< files and folders that .leftingignore excludes
  std::uint64_t left_over = 0;   ///< partial files that no ticket owns
  std::uint64_t held = 0;        ///< deletions that wait for approval
  bool watching = false;         ///< inotify covers the whole share
};

/// An instance seen by a tool: in the segment of a running one, else in the store.
///
/// 1. Opened for looking it makes and changes nothing, but for parts of the segment that are dirty:
///    they are loaded again.
/// 2. A lock of the segment is waited for at most kPatience from one refresh() to the next. What
///    can't be had is shown as the store has it, and take_trouble() says so.
/// 3. Memory doesn't grow with the instance, and nothing is kept open or locked while a caller's
///    function is called.
/// What reads throws StoreError where the store is damaged.
class View {
 public:
  static constexpr milliseconds kPatience{2000};

  /// `access`: write, and the store is made where it is missing; look. `wait`: for the supervisor.
  /// Errors: the supervisor is there but can't be asked. Throws StoreError, std::system_error.
  static Result<std::unique_ptr<View>> open(const InstancePaths& paths,
                                            store::Access access = store::Access::look,
                                            milliseconds wait = kPromptly);
  /// The same by way of a call that has been made; it is taken only where there is no error.
  static Result<std::unique_ptr<View>> attach(const InstancePaths& paths,
                                              std::optional<ControlClient>& call,
                                              store::Access access, milliseconds wait);
  /// Of the store alone, whether or not the instance runs. Throws StoreError.
  static std::unique_ptr<View> open_store(const InstancePaths& paths,
                                          store::Access access = store::Access::look);

  /// True if a supervisor answered when this view was opened.
  bool live() const { return attached_ != nullptr; }
  /// False where the instance has never been started: then everything is empty.
  bool has_store() const { return store_ != nullptr; }

  enum class Contact { answers, silent, ended };
  /// Asks the supervisor again what it says of itself. Needs live().
  Contact refresh(milliseconds wait);
  /// What could not be had from the segment since this was asked last, and why; mostly empty.
  std::string take_trouble() { return reader_.take_trouble(); }

  /// The store is open as long as one of these lives, and signals are held: for who has many small
  /// questions. Between them the store is closed, since the last program that closes it tidies up,
  /// and a tool whose output is waited for must not keep a role from being that. Throws StoreError.
  class Session {
   public:
    explicit Session(View& view);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

   private:
    View& view_;
  };

  const InstanceReport& instance() const { return instance_; }
  std::size_t segment_bytes() const;
  std::size_t used_bytes() const;
  struct IndexView {
    IndexId id = 0;
    std::uint64_t sequence = 0;
  };
  IndexView index();

  std::vector<RoleView> roles() const;
  std::vector<state::PeerView> peers();
  Counts counts();

  /// Each ticket with an id > `after`, in their order, until `emit` gives false.
  void for_each_ticket(const std::function<bool(const state::TicketView&)>& emit,
                       std::uint64_t after = 0);
  /// The ticket as it is now; nothing if it has ended or was replaced.
  std::optional<state::TicketView> find_ticket(const Ticket& ticket);
  /// What the segment, or the store, has of a path.
  std::optional<Record> find_file(const std::string& path);
  bool has_ticket(const std::string& path);
  /// Every record, shard by shard, by path within one. One that changes meanwhile may be missing.
  void for_each_file(const std::function<void(const Record&)>& emit);

  /// What a running instance shares with its tools.
  struct Attached {
    Attached(ControlClient client, state::Segment attached_segment, Wakes attached_wakes,
             store::Store& store);
    ControlClient control;
    state::Segment segment;
    Wakes wakes;
    state::Dictionary dictionary;
    state::TicketQueue tickets;
    state::PeerList peers;
  };
  /// Null where the instance doesn't run.
  Attached* attached() { return attached_.get(); }
  /// Open as long as the view lives. Only of one that was opened for writing.
  store::Store& store() { return *store_; }

 private:
  View(const InstancePaths& paths, store::Access access);

  /// read(Store&), again where the store's files were changed beneath it.
  template <class Read>
  auto from_store(Read&& read) -> std::invoke_result_t<Read, store::Store&>;
  /// read() if the guarded part of the segment can be locked. Throws StoreError.
  template <class Read>
  auto from_segment(state::Guard& guard, Read&& read) -> std::optional<std::invoke_result_t<Read>>;

  void put_segment_words(Counts& counts);
  store::Store::Count count_files();
  state::TicketQueue::Totals count_tickets();
  std::vector<state::TicketView> tickets_now(std::vector<Ticket> page);
  std::vector<Record> shard_records(std::size_t shard);

  InstancePaths paths_;
  store::Access access_;
  std::unique_ptr<store::Store> store_;
  int sessions_ = 0;
  std::optional<HeldSignals> held_;
  InstanceReport instance_;
  std::unique_ptr<Attached> attached_;
  PartReader reader_;
  Counted<std::uint64_t> deleted_;
  Counted<store::Store::Count> counted_files_;
  Counted<state::TicketQueue::Totals> counted_tickets_;
};

/// True if there is an instance folder at all.
bool instance_exists(const InstancePaths& paths);
/// Why its path is not in sync.
Cause cause_of(const state::TicketView& ticket);
/// The sum of a ticket's done blocks, in bytes.
std::uint64_t done_bytes(const Ticket& ticket);

}  // namespace lefting::supervisor
