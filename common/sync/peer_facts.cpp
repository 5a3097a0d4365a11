#include "common/sync/peer_facts.h"

#include <algorithm>

#include "common/net/address.h"

namespace lefting::sync {

bool update_peer(store::Store& store, state::PeerList& peers, int slot,
                 const std::function<void(Peer&)>& change) {
  std::optional<Peer> peer;
  {
    store::Transaction transaction{store};
    peer = transaction.find_peer(slot);
    if (!peer) return false;
    const Peer before = *peer;
    change(*peer);
    if (*peer == before) return true;
    // One device given under two addresses: the first keeps its name in the list.
    if (peer->device != before.device && peer->device && transaction.has_device(*peer->device)) {
      peer->device = before.device;
    }
    transaction.put_peer(*peer);
    transaction.commit();
  }
  peers.pass(state::FaultPoint::peer_committed);
  peers.put(*peer);
  return true;
}

void take_greeting(Peer& peer, const wire::Greeting& greeting, IndexId own,
                   const std::string& host) {
  if (!greeting.name.empty()) peer.name = greeting.name;
  if (!peer.device) peer.device = greeting.device;
  if ((peer.address.empty() || peer.learned) && greeting.port != 0) {
    peer.address = net::Address{host, greeting.port}.text();
    peer.learned = true;
  }
  peer.zstd = greeting.accepts_zstd;
  if (greeting.seen) peer.told = greeting.seen->id == own ? greeting.seen->to : 0;
}

void take_range(Peer& peer, const wire::IndexRange& page) {
  if (peer.index != page.id) {
    // Another index: what was seen of the old one says nothing about this one.
    peer.index = page.id;
    peer.seen = 0;
  }
  if (page.from <= peer.seen) peer.seen = std::max(peer.seen, page.to);
}

}  // namespace lefting::sync
