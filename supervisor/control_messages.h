#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/state/role_board.h"

namespace lefting::supervisor {

/// What is asked of the supervisor through its control socket: the JSON header of a frame
/// (common/wire/frame.h) without data.
struct ControlRequest {
  std::string operation;           ///< status, attach, stop, restart, rescan or hello
  std::vector<std::string> roles;  ///< restart: which; none is all
  std::vector<int> slots;          ///< hello: which peers; none is all
};
std::string encode_request(const ControlRequest& request);
/// Errors: no JSON object with these fields.
Result<ControlRequest> decode_request(std::string_view header);

/// What an answer to `attach` brings along, in this order, as SCM_RIGHTS.
enum class AttachedFd : std::size_t {
  segment,
  wake_scanner,
  wake_listener,
  wake_downloader,
  wake_supervisor
};
inline constexpr std::size_t kAttachedFds = 5;

/// What a running instance says of itself: status and attach.
struct InstanceReport {
  std::int64_t pid = 0;
  std::uint64_t generation = 0;
  std::uint64_t uptime_ms = 0;
  std::string device;
  std::string name;
  std::string share;
  std::string listen;
  bool plain = false;
  struct RoleReport {
    std::string role;
    std::string state;
    std::int64_t pid = 0;
    std::uint64_t uptime_ms = 0;
  };
  std::vector<RoleReport> roles;
};

struct HelloOutcome {
  int slot = -1;
  bool said = false;
};

struct ControlReply {
  std::string operation;
  std::string error;  ///< why not; empty: done
  InstanceReport instance;
  std::vector<HelloOutcome> hellos;
};
std::string encode_reply(const ControlReply& reply);
/// Errors: no JSON object with these fields. A reply that says no is none.
Result<ControlReply> decode_reply(std::string_view header);

}  // namespace lefting::supervisor
