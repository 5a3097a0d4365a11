#include "common/sync/loaders.h"

namespace lefting::sync {

state::Dictionary::Backing backing_of(store::Store& store) {
  return {.load = [&store](std::size_t shard,
                           const auto& emit) { store.for_each_in_shard(shard, emit); },
          .find = [&store](std::string_view path) { return store.find(path); },
          .load_traces = [&store](std::size_t shard,
                                  const auto& emit) { store.for_each_trace(shard, emit); }};
}

state::TicketQueue::Load ticket_loader(store::Store& store) {
  return [&store](std::size_t shard, const auto& emit) {
    store.for_each_ticket_in_shard(shard, emit);
  };
}

state::PeerList::Load peer_loader(store::Store& store) {
  return [&store](const auto& emit) {
    for (const Peer& peer : store.peers()) emit(peer);
  };
}

}  // namespace lefting::sync
