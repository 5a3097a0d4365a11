#pragma once

#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/os.h"
#include "common/base/settings.h"
#include "common/net/identity.h"
#include "common/role/inherited.h"
#include "common/share/share.h"
#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/role_board.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "common/store/store.h"
#include "common/sync/index.h"

namespace lefting {

/// The eventfds by which the programs of an instance wake one another.
struct Wakes {
  EventFd scanner;
  EventFd listener;
  EventFd downloader;
  EventFd supervisor;
};

/// What an instance's programs share, attached by one of them: segment, store, key, share.
/// Members are fixed after construction; each is safe to use from any thread unless it says less.
struct Instance {
  InstancePaths paths;
  Settings settings;
  net::Identity identity;
  state::Segment segment;
  store::Store store;
  /// What the segment's parts are loaded from, under their locks: a connection of its own, so that
  /// no part waits for a transaction of this program.
  store::Store backing;
  ShortId writer;  ///< what this index puts into versions
  state::Dictionary dictionary;
  state::TicketQueue tickets;
  state::PeerList peers;
  sync::Index index;
  Wakes wakes;
  /// What was seen of each peer, by slot, that outlives a power cut; as far as this program knows.
  struct DurableSeen {
    IndexId index = 0;
    std::uint64_t seen = 0;
    bool operator==(const DurableSeen&) const = default;
  };
  std::mutex durable_mutex;
  std::array<DurableSeen, kMaxPeers> durable_seen{};  ///< guarded by durable_mutex

  /// `inflight` picks the words of this program (role_board.h). What a predecessor had committed
  /// but not applied is applied. Throws StoreError or std::system_error.
  using PickInflight = std::function<state::Inflight&(state::Segment&)>;
  Instance(InstancePaths paths, Settings settings, net::Identity identity, state::Segment segment,
           Wakes wakes, const PickInflight& inflight);

  const DeviceId& device() const { return identity.device(); }
  /// The scanner traverses the share once more; what it has begun doesn't count.
  void ask_traversal();
  state::TrafficWords& traffic() { return state::traffic_words(segment); }
  /// The key for connections, or null where the instance is plain.
  const net::Identity* tls() const { return settings.plain ? nullptr : &identity; }
};

/// What a role's main gets: its instance, and how to live under the supervisor.
class RoleContext {
 public:
  RoleContext(Instance& instance, state::RoleSlot* slot, int stop_fd, UniqueFd ready_fd);

  Instance& instance() const { return instance_; }
  /// Readable (or at its end) when the role is to leave; stays so.
  int stop_fd() const { return stop_fd_; }
  bool stopping() const;
  /// Tells the supervisor that this role is at work; at least every 10 s.
  void beat();
  /// Tells the supervisor that this role does its job from now on. Once.
  void ready();

  /// For a thread that would go on after an error, or whose end others would wait for: where
  /// starting the role again can't help (a damaged store), the process ends here and now.
  static void leave_if_hopeless(const std::exception& error);

 private:
  Instance& instance_;
  state::RoleSlot* slot_;
  int stop_fd_;
  UniqueFd ready_fd_;
};

/// The descriptors of inherited.h, owned and close-on-exec from now on.
struct Inherited {
  UniqueFd segment;
  UniqueFd lifeline;
  UniqueFd ready;
  Wakes wakes;
  UniqueFd lock;
};
/// Errors: they are not there (not started by a supervisor).
Result<Inherited> take_inherited();
/// The listener's socket, which only it inherits.
UniqueFd take_listen_socket();
/// Attaches to the segment, opens key and store. Errors say what is wrong.
Result<std::unique_ptr<Instance>> open_instance(InstancePaths paths, Settings settings,
                                                UniqueFd segment, Wakes wakes,
                                                const Instance::PickInflight& inflight);

/// The role can't do its job, and starting it again won't help: what() says why and what to do.
class PermanentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// Opens the instance's share. Throws PermanentError.
share::Share open_share(const Instance& instance);

/// The main of a role: takes flags and inherited descriptors, attaches, logs, runs `body`,
/// turns what it throws into one log line and an exit code (inherited.h).
int run_role(state::Role role, int argc, char** argv,
             const std::function<void(RoleContext&)>& body);

}  // namespace lefting
