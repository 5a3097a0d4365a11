#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "common/store/store.h"
#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Store;
using store::StoreError;
using store::Transaction;

TEST_CASE("store: a path has one ticket, a newer one gets a newer id, ids are never used twice") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{
      .id = 0, .wanted = test::entry("a", 1, {}), .sources = 5, .done = {1, 2}, .former = {}};
  {
    Transaction transaction{store};
    CHECK(transaction.add_ticket(ticket));
    CHECK(ticket.id == 1);
    Ticket other = ticket;
    CHECK_FALSE(transaction.add_ticket(other));
    transaction.put_ticket(ticket);
    transaction.commit();
  }
  CHECK(ticket.id == 2);
  CHECK(store.find_ticket("a") == ticket);
  {
    Transaction transaction{store};
    transaction.set_ticket_done("a", 1, {9});  // the id before: no effect
    ticket.sources = 7;
    ticket.announced = true;
    ticket.wanted.hash = test::hash_of(5);
    transaction.set_ticket_offer(ticket);
    Ticket offer = {.id = 1, .wanted = ticket.wanted, .sources = 9, .done = {}, .former = {}};
    transaction.set_ticket_offer(offer);
    transaction.set_ticket_done("a", 2, {3});
    transaction.remove_ticket("a", 1);
    transaction.commit();
  }
  ticket.done = {3};
  CHECK(store.find_ticket("a") == ticket);
  {
    Transaction transaction{store};
    transaction.remove_ticket("a", 2);
    transaction.commit();
  }
  Transaction transaction{store};
  CHECK(transaction.next_ticket() == 3);
}

TEST_CASE("store: peers get the lowest free slot, and leave no source behind") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 1, {}), .sources = 3, .done = {}, .former = {}};
  Transaction transaction{store};
  for (int i = 0; i < 3; ++i) {
    Peer peer;
    peer.address = "h:" + std::to_string(i);
    transaction.put_peer(peer);
    CHECK(peer.slot == i);
  }
  transaction.add_ticket(ticket);
  Ticket only_its{
      .id = 0, .wanted = test::entry("b", 1, {}), .sources = 2, .done = {}, .former = {}};
  transaction.add_ticket(only_its);
  transaction.remove_peer(1);
  Peer again;
  again.device = DeviceId{};
  transaction.put_peer(again);
  CHECK(again.slot == 1);
  transaction.commit();
  CHECK(store.peers().size() == 3);
  CHECK(store.peers()[1] == again);
  CHECK(store.find_ticket("a")->sources == 1);
  CHECK(store.find_ticket("b")->sources == 0);  // the downloader gives it up
}

TEST_CASE("store: of a peer that stays deletions are not forgotten: they need nobody") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  Ticket file{
      .id = 0, .wanted = test::entry("f", 1, {}), .sources = 0b11, .done = {}, .former = {}};
  Ticket deletion = file;
  deletion.wanted = test::tombstone("d", {});
  transaction.put_ticket(file);
  transaction.put_ticket(deletion);
  const auto sources = [&](const char* path) { return transaction.find_ticket(path)->sources; };
  CHECK(transaction.forget_offers(0, Offers::files));
  CHECK(sources("f") == 0b10);
  CHECK(sources("d") == 0b11);
  CHECK(transaction.forget_offers(0, Offers::all));
  CHECK(sources("d") == 0b10);
  CHECK_FALSE(transaction.forget_offers(0, Offers::all));
}

TEST_CASE("store: a removed peer lets the lists of the others be taken anew") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  for (std::uint64_t i = 0; i < 2; ++i) {
    Peer peer;
    peer.seen = 10 + i;
    peer.told = 20 + i;
    transaction.put_peer(peer);
  }
  transaction.remove_peer(0);
  transaction.commit();
  REQUIRE(store.peers().size() == 1);
  CHECK(store.peers()[0].seen == 0);
  CHECK(store.peers()[0].told == 21);
}

TEST_CASE("store: a ticket is given up only without a source; one that is gone is given up") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  for (const std::uint64_t sources : {std::uint64_t{1}, std::uint64_t{1} << 63, std::uint64_t{0}}) {
    CAPTURE(sources);
    Ticket ticket{
        .id = 0, .wanted = test::entry("a", 1, {}), .sources = sources, .done = {}, .former = {}};
    Transaction transaction{store};
    transaction.put_ticket(ticket);
    CHECK(transaction.give_up_ticket("a", ticket.id - 1));
    CHECK(transaction.give_up_ticket("b", ticket.id));
    CHECK(transaction.find_ticket("a").has_value());
    CHECK(transaction.give_up_ticket("a", ticket.id) == (sources == 0));
    CHECK(transaction.find_ticket("a").has_value() == (sources != 0));
    CHECK(transaction.give_up_ticket("a", ticket.id) == (sources == 0));
    transaction.commit();
  }
  CHECK(store.tickets_after(0, SIZE_MAX >> 1).empty());
}

TEST_CASE("store: former wishes come back whole, in their order, whatever the ticket's changes") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 9, {}), .sources = 1, .done = {}, .former = {}};
  for (std::size_t count = 0; count <= kMostFormer; ++count) {
    CAPTURE(count);
    Transaction transaction{store};
    transaction.put_ticket(ticket);
    ticket.sources = 3;
    transaction.set_ticket_offer(ticket);
    transaction.set_ticket_done("a", ticket.id, {7});
    transaction.commit();
    CHECK(Store{folder / "s.db"}.find_ticket("a")->former == ticket.former);
    CHECK(store.tickets_after(ticket.id - 1, 1)[0].former == ticket.former);

    Entry wish = test::entry("", static_cast<int>(count), VersionVector(count % 5));
    for (std::size_t i = 0; i < wish.version.size(); ++i) {
      wish.version[i] = {test::device(static_cast<char>('A' + i)),
                         (std::uint64_t{1} << 53) - 1 - i};
    }
    wish.mtime_ns = count % 2 != 0 ? -1 : std::int64_t{1} << 62;
    wish.size = ~std::uint64_t{0} >> (count + 1);
    wish.mode = 0777;
    wish.deleted = count % 3 == 2;
    if (count % 2 != 0) wish.hash->kind = HashKind::sha256;
    if (wish.deleted) wish.hash.reset();
    ticket.former.push_back(wish);
  }
}

TEST_CASE("store: a wish for unknown content says nothing of a file, so it is not kept") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Ticket ticket{.id = 0, .wanted = test::entry("a", 9, {}), .sources = 1, .done = {}, .former = {}};
  ticket.former = {test::entry("", 1, {}), test::entry("", 2, {}), test::entry("", 3, {})};
  ticket.former[1].hash.reset();
  Transaction transaction{store};
  transaction.add_ticket(ticket);
  transaction.commit();
  ticket.former.erase(ticket.former.begin() + 1);
  CHECK(store.find_ticket("a")->former == ticket.former);
}

TEST_CASE("store: the 65th peer is refused") {
  const test::TempFolder folder;
  Store store{folder / "s.db"};
  Transaction transaction{store};
  for (int i = 0; i < kMaxPeers; ++i) {
    Peer peer;
    transaction.put_peer(peer);
  }
  Peer one_more;
  CHECK_THROWS_AS(transaction.put_peer(one_more), StoreError);
}
