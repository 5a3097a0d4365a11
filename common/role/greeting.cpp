#include "common/role/greeting.h"

#include "common/base/log.h"
#include "common/net/address.h"
#include "common/sync/peer_facts.h"

namespace lefting {

namespace {

/// What a peer is told to be stored here it may forget, so it is on disk before.
void make_seen_durable(Instance& instance, const Peer& peer) {
  if (peer.slot < 0) return;
  const Instance::DurableSeen now{peer.index, peer.most_seen};
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
    greeting.seen = wire::Seen{peer.index, peer.seen, peer.most_seen};
  }
  greeting.accepts_zstd = true;
  return greeting;
}

void meet_greeting(Instance& instance, int slot, const wire::Greeting& greeting,
                   const std::string& host) {
  const IndexId own = instance.store.index_id();
  const bool is_of_own = greeting.seen && greeting.seen->id == own;
  if (is_of_own && greeting.seen->furthest() > instance.store.last_sequence()) {
    log_info("peer {} knows later changes of this store than it holds: it is an older copy", slot);
    store::Transaction transaction{instance.store};
    transaction.skip_sequences(greeting.seen->furthest());
    transaction.commit();
  }
  sync::update_peer(instance.store, instance.peers, slot,
                    [&](Peer& peer) { sync::take_greeting(peer, greeting, own, host); });
}

}  // namespace lefting
