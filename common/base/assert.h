#pragma once

namespace lefting {

/// Says where on stderr and aborts: the supervisor starts a fresh process.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace lefting

/// A bug of ours if it doesn't hold. Never for what a peer, a file or the system may bring.
#define LEFTING_ASSERT(expression)     \
  ((expression) ? static_cast<void>(0) \
                : ::lefting::assertion_failed(#expression, __FILE__, __LINE__))
