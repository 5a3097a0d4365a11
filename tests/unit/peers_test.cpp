#include "common/state/peers.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "common/state/layout.h"
#include "common/state/segment.h"

using namespace lefting;
using namespace lefting::state;

namespace {

DeviceId device(std::uint8_t number) {
  DeviceId id;
  id.bytes.fill(number);
  return id;
}

Peer make_peer(int slot, std::uint8_t number) {
  return {.slot = slot,
          .device = device(number),
          .name = "peer " + std::to_string(number),
          .address = "host" + std::to_string(number) + ":20000",
          .index = number * 11u,
          .seen = number * 12u,
          .told = number * 13u};
}

/// A segment, attached twice, over a store of peers.
struct Bench {
  std::map<int, Peer> store;
  int loads = 0;
  Segment segment = Segment::create(16 << 20);
  Segment again = Segment::attach(UniqueFd{::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)}).take();
  PeerList::Load load = [this](const PeerList::Emit& emit) {
    ++loads;
    for (const auto& [slot, peer] : store) emit(peer);
  };
  PeerList list{segment, load};
  PeerList other{again, load};

  void put(const Peer& peer) {
    store[peer.slot] = peer;
    list.put(peer);
  }
};

}  // namespace

TEST_CASE("PeerList: what one attachment puts another finds, in every slot") {
  Bench bench;
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    CAPTURE(slot);
    const Peer peer = make_peer(slot, static_cast<std::uint8_t>(slot + 1));
    bench.put(peer);
    const auto got = bench.other.get(slot);
    REQUIRE(got.has_value());
    CHECK(got->peer == peer);
    CHECK(got->state == PeerState::offline);
    CHECK(bench.other.find(*peer.device)->peer.slot == slot);
    CHECK(bench.list.list().size() == static_cast<std::size_t>(slot + 1));
  }
  CHECK(bench.list.used_mask() == ~std::uint64_t{0});
  CHECK(bench.loads == 1);
  CHECK_FALSE(bench.list.find(device(200)).has_value());
}

TEST_CASE("PeerList: a slot that is free or out of range has nobody") {
  Bench bench;
  for (const int slot : {-1, 0, kMaxPeers - 1, kMaxPeers, 1000}) {
    CAPTURE(slot);
    CHECK_FALSE(bench.list.get(slot).has_value());
  }
  CHECK_FALSE(bench.list.set_state(3, PeerState::online));
  CHECK(bench.list.online_mask() == 0);
  bench.put(make_peer(3, 1));
  bench.list.remove(3);
  CHECK_FALSE(bench.list.get(3).has_value());
  CHECK(bench.list.used_mask() == 0);
}

TEST_CASE("PeerList: a state is in exactly one mask, and a change of it is told once") {
  Bench bench;
  bench.put(make_peer(5, 1));
  const std::uint64_t bit = std::uint64_t{1} << 5;
  for (const PeerState state : {PeerState::online, PeerState::refused, PeerState::offline,
                                PeerState::refused, PeerState::online, PeerState::offline}) {
    CAPTURE(to_text(state));
    const std::uint64_t changes = bench.list.changes();
    CHECK(bench.list.set_state(5, state, "because"));
    CHECK_FALSE(bench.list.set_state(5, state, "other cause"));
    CHECK(bench.list.changes() == changes + 1);
    CHECK(bench.other.online_mask() == (state == PeerState::online ? bit : 0));
    CHECK(bench.other.refused_mask() == (state == PeerState::refused ? bit : 0));
    CHECK(bench.other.get(5)->state == state);
    CHECK(bench.other.get(5)->reason == "other cause");
  }
}

TEST_CASE("PeerList: put keeps the state of a known peer, and a new one is offline") {
  Bench bench;
  Peer peer = make_peer(0, 1);
  peer.device.reset();
  bench.put(peer);
  bench.list.set_state(0, PeerState::online, "up");
  peer.device = device(1);
  bench.put(peer);
  CHECK(bench.list.get(0)->state == PeerState::online);
  peer.address = "elsewhere:1";
  peer.seen = 99;
  bench.put(peer);
  CHECK(bench.list.get(0)->state == PeerState::online);
  CHECK(bench.list.get(0)->reason == "up");
  CHECK(bench.list.get(0)->peer.seen == 99);
  bench.put(make_peer(0, 2));
  CHECK(bench.list.get(0)->state == PeerState::offline);
  CHECK(bench.list.get(0)->reason.empty());
}

TEST_CASE("PeerList: a text of any length is cut to its room, never inside a character") {
  Bench bench;
  Peer peer = make_peer(1, 1);
  for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 299u, 300u, 301u, 5000u}) {
    CAPTURE(size);
    peer.name = std::string(size, 'n');
    peer.address = std::string(size, 'a');
    bench.put(peer);
    bench.list.set_state(1, PeerState::refused, std::string(size, 'r'));
    const auto got = bench.other.get(1);
    CHECK(got->peer.name == peer.name.substr(0, 64));
    CHECK(got->peer.address == peer.address.substr(0, 300));
    CHECK(got->reason.size() == std::min<std::size_t>(size, 200));
  }
  peer.name = std::string(63, 'n') + "é";
  bench.put(peer);
  CHECK(bench.list.get(1)->peer.name == std::string(63, 'n'));
}

TEST_CASE("PeerList: asked anew it is loaded again, who was online is offline, a refusal stays") {
  Bench bench;
  for (int slot = 0; slot < 4; ++slot) {
    bench.put(make_peer(slot, static_cast<std::uint8_t>(slot + 1)));
    bench.list.set_state(slot, PeerState::online, "up");
  }
  bench.list.set_state(0, PeerState::refused, "no");
  bench.store.erase(1);
  bench.store[2] = make_peer(2, 50);  // another peer in the slot
  bench.store[7] = make_peer(7, 8);
  const std::uint64_t changes = bench.list.changes();
  bench.other.ask_anew();
  CHECK(bench.list.changes() > changes);
  CHECK(bench.list.list().size() == 4);
  CHECK(bench.loads == 2);
  CHECK(bench.list.used_mask() == 0b10001101);
  CHECK(bench.list.online_mask() == 0);
  CHECK(bench.list.refused_mask() == 0b00000001);
  CHECK(bench.list.get(0)->reason == "no");
  CHECK(bench.list.get(3)->reason.find("anew") != std::string::npos);
  CHECK(bench.list.get(2)->peer == make_peer(2, 50));
  CHECK(bench.list.get(2)->reason.empty());
}

TEST_CASE("PeerList: a store that can't say leaves the list dirty, and it is loaded later") {
  Bench bench;
  bench.store[4] = make_peer(4, 4);
  bench.store[-1] = make_peer(-1, 5);
  bench.store[kMaxPeers] = make_peer(kMaxPeers, 6);
  PeerList broken{bench.segment, [](const PeerList::Emit& emit) {
                    emit(make_peer(9, 9));
                    throw std::runtime_error{"store"};
                  }};
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(broken.list(), std::runtime_error);
  CHECK(bench.list.list().size() == 1);
  CHECK(bench.list.get(4)->peer == make_peer(4, 4));
  CHECK(bench.list.used_mask() == 1u << 4);
}
