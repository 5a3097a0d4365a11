#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/net/connection.h"
#include "common/role/role.h"
#include "common/share/share.h"
#include "common/sync/intake.h"
#include "listener/file_server.h"
#include "listener/new_records.h"

namespace lefting::listener {

/// What all sessions share.
struct Desk {
  RoleContext& context;
  Instance& instance;
  const share::Share& share;
  sync::Intake intake;
  /// One list at a time is taken from a peer, however many connections it opens. What it is told
  /// holds up none: that may take long.
  std::array<std::mutex, kMaxPeers> list_turns;
  NewRecords new_records;
};

/// Serves one connection until it ends. One thread.
///
/// 1. A TLS peer that is not in the list gets `not_trusted` before anything of it is acted on.
/// 2. A plain peer is who its header says; it can read files unnamed, but lists need a name that
///    is in the peer list.
class Session {
 public:
  Session(Desk& desk, net::Connection connection);

  void run();
  /// Says `busy` and ends.
  void refuse();

 private:
  /// Each returns false when the connection is to be closed.
  bool serve_one();
  bool serve(const wire::Request& request, std::uint32_t data_bytes);
  bool serve_list(const wire::Request& request, std::uint32_t data_bytes);
  bool serve_file(const wire::Request& request);
  bool reply_to_news(const wire::Request& request, const sync::Taken& taken);
  bool reply_to_hello(const wire::Request& request);
  bool send_error(const wire::Reply& reply, bool close);
  bool send(const wire::Reply& reply, std::span<const std::byte> data = {});
  /// True if the peer is (still) in the list: a removed one loses its access at once.
  bool identify(const wire::Request& request);
  bool is_still_listed();
  /// Takes the list that comes with the request. Nothing: the connection has ended.
  std::optional<Result<sync::Taken>> take_list(const wire::Request& request,
                                               std::uint32_t data_bytes);
  /// Takes in what the greeting says of the peer; it is online from now on.
  void meet_peer(const wire::Greeting& greeting);

  Desk& desk_;
  net::Connection connection_;
  FileServer files_;
  std::optional<int> slot_;
  std::optional<DeviceId> device_;          ///< of the peer in slot_
  std::optional<std::uint64_t> listed_at_;  ///< PeerList::changes() when it was last seen there
  std::vector<wire::Rejected> rejected_;    ///< of a hello's pages so far
};

}  // namespace lefting::listener
