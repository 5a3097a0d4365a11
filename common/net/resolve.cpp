#include "common/net/resolve.h"

#include <sys/socket.h>

#include <cerrno>

namespace lefting::net {

namespace {

class ResolverCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "resolver"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
};

}  // namespace

Error resolver_error(int code, std::string operation, std::string subject) {
  static const ResolverCategory category;
  if (code == EAI_SYSTEM) return os_error(errno, std::move(operation), std::move(subject));
  return {std::error_code{code, category}, std::move(operation), std::move(subject), {}};
}

Result<ResolvedAddresses> resolve(const Address& address, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int fault =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (fault != 0) return resolver_error(fault, "resolve", address.text());
  return ResolvedAddresses{found};
}

}  // namespace lefting::net
