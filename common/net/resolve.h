#pragma once

// For the .cpp files of this room.

#include <netdb.h>

#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/net/address.h"

namespace lefting::net {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using ResolvedAddresses = std::unique_ptr<addrinfo, FreeAddresses>;

/// The addresses that a host's name stands for, at least one, best first. May wait for the
/// resolver as long as that likes; not for numeric hosts.
Result<ResolvedAddresses> resolve(const Address& address, int flags = 0);
/// The Error of a code of getaddrinfo or getnameinfo.
Error resolver_error(int code, std::string operation, std::string subject);

}  // namespace lefting::net
