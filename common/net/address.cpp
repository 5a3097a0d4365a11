#include "common/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "common/base/log.h"
#include "common/net/resolve.h"

namespace lefting::net {

namespace {

constexpr std::size_t kMaxHostBytes = 253;  // of a name in the DNS

Error address_error(std::string_view text, std::string why) {
  return plain_error("read address \"" + printable(text) + "\"", std::move(why),
                     "write HOST, HOST:PORT or [IPV6]:PORT");
}

bool is_ipv6(std::string_view host) {
  in6_addr address;
  const std::string text{host.substr(0, host.find('%'))};  // without its zone
  return ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_host_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f &&
         std::string_view{"/@[]:\"\\"}.find(c) == std::string_view::npos;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

/// `[V6]` or `[V6]:PORT`.
Result<Address> parse_bracketed(std::string_view text) {
  const std::size_t close = text.find(']');
  if (close == text.npos) return address_error(text, "the bracket is not closed");
  Address address{std::string{text.substr(1, close - 1)}, kDefaultPort};
  if (!is_ipv6(address.host)) return address_error(text, "no IPv6 address stands in the brackets");
  const std::string_view rest = text.substr(close + 1);
  if (rest.empty()) return address;
  const auto port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port) return address_error(text, "after the bracket comes : and a port from 0 to 65535");
  address.port = *port;
  return address;
}

using NameOf = int (*)(int, sockaddr*, socklen_t*);

/// An address of a socket, as getsockname or getpeername gives it.
Result<Address> address_of(int fd, NameOf name_of, const char* operation) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (name_of(fd, address, &size) != 0) return os_error(errno, operation);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  const int fault = ::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                                  NI_NUMERICHOST | NI_NUMERICSERV);
  if (fault != 0) return resolver_error(fault, operation, {});
  std::string_view text{host};
  // IPv4 that came through a socket for both: the peer knows itself by the IPv4 address.
  if (text.starts_with("::ffff:") && text.find('.') != text.npos) text.remove_prefix(7);
  return Address{std::string{text}, parse_port(port).value_or(0)};
}

}  // namespace

std::string Address::text() const {
  const bool brackets = host.find(':') != host.npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_address(std::string_view text) {
  if (text.empty()) return address_error(text, "it is empty");
  if (text.front() == '[') return parse_bracketed(text);
  if (is_ipv6(text)) return Address{std::string{text}, kDefaultPort};
  Address address;
  const std::size_t colon = text.find(':');
  address.host = text.substr(0, colon);
  if (address.host.empty()) return address_error(text, "it has no host");
  if (address.host.size() > kMaxHostBytes) return address_error(text, "the host is too long");
  if (!std::all_of(address.host.begin(), address.host.end(), is_host_character)) {
    return address_error(text, "a host has no such characters");
  }
  if (colon == text.npos) return address;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return address_error(text, "a port is a number from 0 to 65535");
  address.port = *port;
  return address;
}

Result<PeerSpec> parse_peer_spec(std::string_view text) {
  PeerSpec spec;
  const std::size_t at = text.find('@');
  const bool has_address = at != text.npos;
  spec.device = parse_device_id(text.substr(0, at));
  if (has_address && !spec.device) {
    return plain_error("read peer \"" + printable(text) + "\"", "what stands before @ is no ID",
                       "`supervisor id` on that machine prints it");
  }
  if (spec.device && !has_address) return spec;
  auto address = parse_address(has_address ? text.substr(at + 1) : text);
  if (!address) return address.error();
  spec.address = address.take();
  return spec;
}

Result<UniqueFd> listen_on(const Address& address) {
  auto found = resolve(address, AI_PASSIVE);
  if (!found) return found.error();
  const addrinfo& first = *found.value();
  UniqueFd socket{::socket(first.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) return os_error(errno, "make a socket for", address.text());
  const int on = 1;
  const int off = 0;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.host == "::") {
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(socket.get(), first.ai_addr, first.ai_addrlen) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return os_error(errno, "listen on", address.text(),
                    "see what else has the port, or choose another with --listen");
  }
  return socket;
}

Result<Address> local_address(int fd) { return address_of(fd, ::getsockname, "getsockname"); }

Result<Address> remote_address(int fd) { return address_of(fd, ::getpeername, "getpeername"); }

}  // namespace lefting::net
