#include "common/role/greeting.h"

#include "common/net/address.h"

namespace lefting {

namespace {

/// What a peer is told to be stored here it may forget, so it is on disk before.
void make_seen_durable(Instance& instance, const Peer& peer) {
  if (peer.slot < 0) return;
  const Instance::DurableSeen now{peer.index, peer.seen};
  auto& durable = instance.durable_seen[static_cast<std::size_t>(peer.slot)];
  {
    const std::lock_guard lock{instance.durable_mutex};
    if (durable == now) return;
  }
  instance.store.sync();
  const std::lock_guard lock{instance.durable_mutex};
  durable = now;
}

}  // namespace

wire::Greeting greeting_to(Instance& instance, const Peer& peer) {
  wire::Greeting greeting;
  greeting.device = instance.device();
  greeting.name = instance.settings.name;
  if (auto listen = net::parse_address(instance.settings.listen)) {
    greeting.port = listen.value().port;
  }
  if (peer.index != 0) {
    make_seen_durable(instance, peer);
    greeting.seen = wire::Seen{peer.index, peer.seen};
  }
  greeting.accepts_zstd = true;
  return greeting;
}

}  // namespace lefting
