#pragma once

#include <limits>

#include "common/wire/messages.h"

namespace lefting::test {

/// A greeting with something in every field.
inline wire::Greeting full_greeting() {
  wire::Greeting greeting;
  greeting.device = DeviceId{};
  greeting.device->bytes.fill(0x5a);
  greeting.name = "Büro";
  greeting.port = 20000;
  greeting.index = wire::IndexRange{0x0123456789abcdef, 5, 77};
  greeting.seen = wire::Seen{0xfedcba9876543210, 7, std::numeric_limits<std::uint64_t>::max()};
  greeting.more = true;
  greeting.encoding = wire::Encoding::zstd;
  greeting.raw_size = 16777216;
  greeting.accepts_zstd = true;
  return greeting;
}

}  // namespace lefting::test
