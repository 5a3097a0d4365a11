#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/net/connection.h"
#include "common/role/role.h"

namespace lefting::downloader {

/// One worker's connections to the peers that it fetches from. They stay open.
class Sources {
 public:
  explicit Sources(RoleContext& context);

  /// Which of a ticket's sources to ask: one that is online, another at each attempt; `preferred`
  /// where it is one of them. Nothing: none is online.
  std::optional<int> pick(std::uint64_t sources, std::uint32_t attempts, int preferred) const;

  /// The connection to a peer, opened where needed. A peer that can't be reached is marked
  /// offline, and hello finds it again; unless it would only have helped. Different slots may be
  /// opened and dropped by different threads.
  Result<net::Connection*> open(int slot, bool only_helps = false);
  /// The connection is of no use any more. `peer_is_gone`: nor is the peer.
  void drop(int slot, const Error& why, bool peer_is_gone);

 private:
  RoleContext& context_;
  Instance& instance_;
  std::array<std::optional<net::Connection>, kMaxPeers> connections_;
};

}  // namespace lefting::downloader
