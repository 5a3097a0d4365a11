#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/state/peers.h"

namespace lefting::listener {

/// Which peer of the list a plain peer is: the one with its device ID, else one whose ID is not
/// known yet and whose address is `host` and `port`, else the only such one on `host`.
///
/// `resolve`  gives the numeric addresses of a host name (address.h), so that no I/O happens here.
std::optional<int> match_plain_peer(
    const std::vector<state::PeerView>& peers, const DeviceId& device, const std::string& host,
    std::uint16_t port, const std::function<std::vector<std::string>(const std::string&)>& resolve);

/// The numeric addresses of a host name; empty if it has none now.
std::vector<std::string> resolve_host(const std::string& host);

}  // namespace lefting::listener
