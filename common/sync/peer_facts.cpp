#include "common/sync/peer_facts.h"

#include <algorithm>

#include "common/base/log.h"
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
  if (!greeting.seen) return;
  const bool is_of_own = greeting.seen->id == own;
  peer.told = is_of_own ? greeting.seen->to : 0;
  peer.most_told = is_of_own ? std::max(peer.most_told, greeting.seen->furthest()) : 0;
}

bool has_gone_back(std::uint64_t most_told, const wire::Greeting& reply, IndexId own) {
  const bool has_any = reply.seen && reply.seen->id == own;
  return (has_any ? reply.seen->furthest() : 0) < most_told;
}

void take_back(Index& index, state::PeerList& peers, int slot) {
  log_info("peer {} has forgotten what it knew; it is asked anew what it has", slot);
  forget_offers(index, peers, slot, [](Peer& peer) { peer.told = peer.most_told = 0; });
}

bool forget_offers(Index& index, state::PeerList& peers, int slot,
                   const std::function<void(Peer&)>& change) {
  // Less is known from now on, so the segment goes first: who dies in between has forgotten too
  // much, and asks again.
  index.tickets().drop_source(slot, Offers::files);
  bool offered = false;
  std::optional<Peer> peer;
  {
    store::Transaction transaction{index.store()};
    peer = transaction.find_peer(slot);
    if (!peer) return false;
    change(*peer);
    peer->seen = 0;
    transaction.put_peer(*peer);
    offered = transaction.forget_offers(slot, Offers::files);
    transaction.commit();
  }
  peers.put(*peer);
  index.tickets().drop_source(slot, Offers::files);  // of what was loaded again meanwhile
  if (offered) peers.ask_anew();
  return offered;
}

void take_range(Peer& peer, const wire::IndexRange& page) {
  if (peer.index != page.id) {
    // Another index: what was seen of the old one says nothing about this one.
    peer.index = page.id;
    peer.seen = 0;
    peer.most_seen = 0;
  }
  if (page.from <= peer.seen) peer.seen = std::max(peer.seen, page.to);
  peer.most_seen = std::max(peer.most_seen, peer.seen);
}

}  // namespace lefting::sync
