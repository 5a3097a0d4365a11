#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "common/base/unique_fd.h"
#include "supervisor/control_messages.h"
#include "supervisor/poll_set.h"

namespace lefting::supervisor {

/// What goes back: a reply's header, and descriptors (which stay the supervisor's).
struct ControlAnswer {
  std::string header;
  std::vector<int> fds;
};
/// What a request has led to. Asked once a turn until it gives the answer.
using PendingAnswer = std::function<std::optional<ControlAnswer>()>;

/// The supervisor's side of the control socket.
///
/// 1. Nothing here waits: a caller that neither reads nor writes costs one of 64 places.
/// 2. One request of a connection at a time; the next is read when its answer has gone.
/// 3. Only this user and root are answered.
class ControlServer {
 public:
  using Handle = std::function<PendingAnswer(const ControlRequest&)>;
  ControlServer(UniqueFd listening, Handle handle);

  void watch(PollSet& polls) const;
  void handle(const PollSet& polls, std::uint64_t now_ms);
  /// Sends the answers that are there by now.
  void settle();

 private:
  struct Connection {
    UniqueFd fd;
    std::uint64_t active_ms = 0;  ///< when it last sent something
    std::vector<std::byte> in{};
    std::vector<std::byte> out{};
    std::vector<int> out_fds{};
    PendingAnswer pending{};
    bool closing = false;  ///< close it when `out` has gone
    bool dead = false;
  };
  void accept_all(std::uint64_t now_ms);
  bool make_room();
  void receive(Connection& connection);
  void take_request(Connection& connection);
  void refuse(Connection& connection, const std::string& why);
  void flush(Connection& connection);

  UniqueFd listening_;
  Handle handle_;
  std::list<Connection> connections_;
};

}  // namespace lefting::supervisor
