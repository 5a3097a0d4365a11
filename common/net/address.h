#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace lefting::net {

inline constexpr std::uint16_t kDefaultPort = 20000;

/// HOST:PORT; an IPv6 address stands in brackets in text.
struct Address {
  std::string host;
  std::uint16_t port = kDefaultPort;
  std::string text() const;
  bool operator==(const Address&) const = default;
};
/// Takes HOST, HOST:PORT, [V6]:PORT, [V6] or a bare V6 address. Errors say what is wrong with it.
Result<Address> parse_address(std::string_view text);

/// `--peer`: [ID@]HOST[:PORT], or ID alone.
struct PeerSpec {
  std::optional<DeviceId> device;
  std::optional<Address> address;
};
Result<PeerSpec> parse_peer_spec(std::string_view text);

/// A listening TCP socket, non-blocking, close-on-exec. Port 0 takes a free one.
Result<UniqueFd> listen_on(const Address& address);
/// The address that a socket is bound to.
Result<Address> local_address(int fd);
/// The address at the other end of a connected socket.
Result<Address> remote_address(int fd);

}  // namespace lefting::net
