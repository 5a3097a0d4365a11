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
  bool watching = false;         ///< inotify covers the whole share
};

/// An instance seen by a tool: in the segment of a running one, else in the store.
class View {
 public:
  /// Errors: the supervisor is there but can't be asked. Throws StoreError, std::system_error.
  static Result<std::unique_ptr<View>> open(const InstancePaths& paths);
  /// Of the store alone, whether or not the instance runs. Throws StoreError.
  static std::unique_ptr<View> open_store(const InstancePaths& paths);

  /// True if a supervisor answered when this view was opened.
  bool live() const { return attached_ != nullptr; }
  /// Asks the supervisor again what it says of itself. False: it is gone, or there was none.
  bool refresh();

  const InstanceReport& instance() const { return instance_; }
  std::size_t segment_bytes() const;
  std::size_t used_bytes() const;
  store::Store& store() { return store_; }

  std::vector<RoleView> roles() const;
  std::vector<state::PeerView> peers();
  std::vector<state::TicketView> tickets();
  Counts counts();
  /// Every record, shard by shard, by path within one: never all in memory.
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

 private:
  explicit View(const InstancePaths& paths);
  Status attach(ControlClient control);

  store::Store store_;
  InstanceReport instance_;
  std::unique_ptr<Attached> attached_;
};

/// True if there is an instance folder at all.
bool instance_exists(const InstancePaths& paths);
/// The sum of a ticket's done blocks, in bytes.
std::uint64_t done_bytes(const Ticket& ticket);

}  // namespace lefting::supervisor
