#include "listener/peer_match.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/net/address.h"

namespace lefting::listener {

std::optional<int> match_plain_peer(
    const std::vector<state::PeerView>& peers, const DeviceId& device, const std::string& host,
    std::uint16_t port,
    const std::function<std::vector<std::string>(const std::string&)>& resolve) {
  std::vector<int> same_host;
  std::optional<int> same_port;
  for (const state::PeerView& view : peers) {
    if (view.peer.device == device) return view.peer.slot;
    if (view.peer.device) continue;
    const auto address = net::parse_address(view.peer.address);
    if (!address) continue;
    const std::string& name = address.value().host;
    if (name != host) {
      const auto numbers = resolve(name);
      if (std::find(numbers.begin(), numbers.end(), host) == numbers.end()) continue;
    }
    same_host.push_back(view.peer.slot);
    if (address.value().port == port) same_port = view.peer.slot;
  }
  if (same_port) return same_port;
  if (same_host.size() == 1) return same_host.front();
  return std::nullopt;
}

std::vector<std::string> resolve_host(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  std::vector<std::string> out;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return out;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      out.emplace_back(text);
    }
  }
  ::freeaddrinfo(list);
  return out;
}

}  // namespace lefting::listener
