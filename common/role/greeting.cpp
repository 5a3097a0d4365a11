#include "common/role/greeting.h"

#include "common/net/address.h"

namespace lefting {

wire::Greeting greeting_to(const Instance& instance, const Peer& peer) {
  wire::Greeting greeting;
  greeting.device = instance.device();
  greeting.name = instance.settings.name;
  if (auto listen = net::parse_address(instance.settings.listen)) {
    greeting.port = listen.value().port;
  }
  if (peer.index != 0) greeting.seen = wire::Seen{peer.index, peer.seen};
  greeting.accepts_zstd = true;
  return greeting;
}

}  // namespace lefting
