// Our changes as pages, and a peer's pages as tickets.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/sync/intake.h"
#include "common/sync/outgoing.h"
#include "common/sync/peer_facts.h"
#include "common/wire/entry_list.h"
#include "tests/unit/sync_fixture.h"

using namespace lefting;
using test::SyncFixture;

namespace {

std::vector<std::string> paths_in(const sync::Page& page) {
  std::string raw = page.data;
  if (page.encoding == wire::Encoding::zstd) {
    raw = wire::decompress(std::as_bytes(std::span{page.data}), page.raw_size).take();
  }
  std::vector<std::string> out;
  std::vector<wire::Rejected> rejected;
  REQUIRE(wire::decode_entry_list(
              raw, [&](Entry&& e) { out.push_back(e.path); }, rejected)
              .ok());
  CHECK(rejected.empty());
  return out;
}

sync::Taken take(sync::Intake& intake, int slot, const std::vector<Entry>& entries,
                 std::optional<wire::IndexRange> range = {}) {
  wire::EntryListWriter list;
  for (const Entry& entry : entries) list.add(entry);
  wire::Greeting greeting;
  greeting.index = range;
  const std::string page = list.take();
  auto taken = intake.take(slot, greeting, std::as_bytes(std::span{page}));
  REQUIRE(taken.ok());
  return taken.take();
}

}  // namespace

TEST_CASE_FIXTURE(SyncFixture,
                  "outgoing: pages join without gap or overlap, and the last one ends at the end") {
  for (int i = 0; i < 25'000; ++i) {
    Record record;
    record.entry = test::entry("f" + std::to_string(i), i % 100, {{test::device('A'), 1}});
    store::Transaction transaction{store};
    transaction.put_record(record, 0);
    transaction.commit();
  }
  for (const bool zstd : {false, true}) {
    sync::Outgoing outgoing{store, 0, zstd};
    std::uint64_t at = 0;
    std::size_t entries = 0;
    bool more = true;
    while (const auto page = outgoing.next()) {
      CHECK(more);
      CHECK(page->range.from == at);
      CHECK(page->range.id == store.index_id());
      at = page->range.to;
      more = page->more;
      entries += paths_in(*page).size();
    }
    CHECK_FALSE(more);
    CHECK(at == 25'000);
    CHECK(entries == 25'000);
  }
}

TEST_CASE_FIXTURE(
    SyncFixture, "outgoing: who has seen all gets one empty page, who has seen too much gets all") {
  record(test::entry("a", 1, {}));
  record(test::entry("b", 1, {}));
  record(test::entry("a", 2, {}));
  const auto pages = [&](std::uint64_t seen) {
    sync::Outgoing outgoing{store, seen, false};
    const auto page = outgoing.next();
    CHECK_FALSE(outgoing.next().has_value());
    return paths_in(*page);
  };
  CHECK(pages(3).empty());
  CHECK(pages(2) == std::vector<std::string>{"a"});
  CHECK(pages(0) == std::vector<std::string>{"b", "a"});
  CHECK(pages(4) == std::vector<std::string>{"b", "a"});
}

TEST_CASE_FIXTURE(SyncFixture, "intake: what we lack becomes a ticket, what we have does not") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  const Entry known = test::entry("known", 1, {{test::device('A'), 1}});
  record(known);
  Entry newer = test::entry("changed", 2, {{test::device('A'), 2}});
  record(test::entry("changed", 1, {{test::device('A'), 1}}));
  Entry older = test::entry("ours", 1, {{test::device('A'), 1}});
  record(test::entry("ours", 2, {{test::device('A'), 2}}));
  const auto taken =
      take(intake, slot, {known, newer, older, test::entry("new", 1, {{test::device('A'), 1}})});
  CHECK(taken.entries == 4);
  CHECK(taken.wishes == 2);
  CHECK(tickets.find("changed")->ticket.wanted == newer);
  CHECK(tickets.find("new")->ticket.sources == 1);
  CHECK(tickets.list().size() == 2);
  CHECK(store.find_ticket("new") == tickets.find("new")->ticket);
}

TEST_CASE_FIXTURE(
    SyncFixture, "intake: the same list twice adds nothing, another peer adds itself as a source") {
  const int first = add_peer('a');
  const int second = add_peer('b');
  sync::Intake intake{index, peers, test::device('Z')};
  const std::vector<Entry> list = {test::entry("f", 1, {{test::device('A'), 1}})};
  CHECK(take(intake, first, list).wishes == 1);
  CHECK(take(intake, first, list).wishes == 0);
  CHECK(take(intake, second, list).wishes == 1);
  CHECK(tickets.find("f")->ticket.sources == 3);
  CHECK(tickets.find("f")->ticket.id == 1);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "intake: a newer wish takes the ticket's place, an older one doesn't") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  const Entry old = test::entry("f", 1, {{test::device('A'), 1}});
  const Entry next = test::entry("f", 2, {{test::device('A'), 2}});
  take(intake, slot, {old});
  take(intake, slot, {next});
  CHECK(tickets.find("f")->ticket.wanted == next);
  CHECK(tickets.find("f")->ticket.id == 2);
  CHECK(take(intake, slot, {old}).wishes == 0);
  CHECK(tickets.find("f")->ticket.wanted == next);
}

TEST_CASE_FIXTURE(SyncFixture,
                  "intake: seen goes on without gaps, and begins anew with another index") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  CHECK(take(intake, slot, {}, wire::IndexRange{7, 0, 10}).seen == 10);
  CHECK(take(intake, slot, {}, wire::IndexRange{7, 15, 20}).seen == 10);  // 10 to 15 is missing
  CHECK(take(intake, slot, {}, wire::IndexRange{7, 5, 12}).seen == 12);
  CHECK(take(intake, slot, {}, wire::IndexRange{7, 2, 3}).seen == 12);
  CHECK(take(intake, slot, {}, wire::IndexRange{8, 5, 9}).seen == 0);
  CHECK(take(intake, slot, {}, wire::IndexRange{8, 0, 9}).seen == 9);
  CHECK(store.peers()[0].seen == 9);
  CHECK(peers.get(slot)->peer.index == 8);
}

TEST_CASE_FIXTURE(
    SyncFixture,
    "intake: a version from far in the future is rejected, one of a fast clock is not") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  const std::uint64_t day = 24 * 3600 * 1000;
  const auto taken = take(intake, slot,
                          {test::entry("fast", 1, {{test::device('A'), wall_ms() + 30 * day}}),
                           test::entry("broken", 1, {{test::device('A'), wall_ms() + 400 * day}}),
                           test::entry("hostile", 1, {{test::device('A'), (1ULL << 53) - 1}})});
  CHECK(taken.wishes == 1);
  CHECK(taken.rejected.size() == 2);
  CHECK(tickets.find("fast").has_value());
}

TEST_CASE_FIXTURE(
    SyncFixture,
    "intake: a wish that is only in the store comes into the segment with the next list") {
  const int slot = add_peer('a');
  load_all();
  sync::Intake intake{index, peers, test::device('Z')};
  const Entry wanted = test::entry("f", 1, {{test::device('A'), 1}});
  // As a hello child leaves it that dies right after its commit.
  store_ticket(wanted, std::uint64_t{1} << slot);
  CHECK_FALSE(tickets.find("f").has_value());
  CHECK(take(intake, slot, {wanted}).wishes == 0);
  CHECK(tickets.find("f").has_value());
}

TEST_CASE_FIXTURE(SyncFixture,
                  "intake: a wish without any source left gives way to an older one that has one") {
  const int gone = add_peer('a');
  const int here = add_peer('b');
  sync::Intake intake{index, peers, test::device('Z')};
  const Entry older = test::entry("f", 1, {{test::device('A'), 1}});
  take(intake, gone, {test::entry("f", 2, {{test::device('A'), 2}})});
  take(intake, here, {older});
  CHECK(tickets.find("f")->ticket.wanted != older);
  {
    store::Transaction transaction{store};
    transaction.remove_peer(gone);
    transaction.commit();
  }
  take(intake, here, {older});
  CHECK(tickets.find("f")->ticket.wanted == older);
}

TEST_CASE_FIXTURE(SyncFixture, "intake: a ticket remembers the wishes that it replaced") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  std::vector<Entry> replaced;  // without their path, as a ticket keeps them
  for (int content = 0; content < 80; ++content) {
    CAPTURE(content);
    const std::uint64_t counter = static_cast<std::uint64_t>(content) + 1;
    Entry wish = test::entry("f", content, {{test::device('A'), counter}});
    CHECK(take(intake, slot, {wish}).wishes == 1);
    const auto stored = store.find_ticket("f");
    REQUIRE(stored.has_value());
    CHECK(stored->wanted == wish);
    const std::vector<Entry>& former = stored->former;
    if (replaced.size() <= kMostFormer) {
      CHECK(former == replaced);
    } else {  // the oldest and the newest ones
      constexpr std::size_t kHalf = kMostFormer / 2;
      REQUIRE(former.size() == kMostFormer);
      CHECK(std::equal(former.begin(), former.begin() + kHalf, replaced.begin()));
      CHECK(std::equal(former.begin() + kHalf, former.end(), replaced.end() - kHalf));
    }
    wish.path.clear();
    replaced.push_back(wish);
  }
}

TEST_CASE_FIXTURE(SyncFixture,
                  "intake: a former wish is a deletion, or content that its hash can prove") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  const auto version = [](std::uint64_t counter) {
    return VersionVector{{test::device('A'), counter}};
  };
  record(test::entry("f", 0, version(1)));
  Entry unhashed = test::entry("f", 1, version(2));
  unhashed.hash.reset();
  Entry known = test::entry("f", 2, version(3));
  Entry deletion = test::tombstone("f", version(4));
  for (const Entry& wish : {unhashed, known, deletion, test::entry("f", 5, version(5))}) {
    CHECK(take(intake, slot, {wish}).wishes == 1);
  }
  known.path.clear();
  deletion.path.clear();
  CHECK(store.find_ticket("f")->former == std::vector{known, deletion});
}

TEST_CASE_FIXTURE(SyncFixture, "intake: a new source leaves a ticket its former wishes") {
  const int first = add_peer('a');
  const int second = add_peer('b');
  sync::Intake intake{index, peers, test::device('Z')};
  const Entry newer = test::entry("f", 2, {{test::device('A'), 2}});
  take(intake, first, {test::entry("f", 1, {{test::device('A'), 1}})});
  take(intake, first, {newer});
  CHECK(take(intake, second, {newer}).wishes == 1);
  const auto stored = store.find_ticket("f");
  CHECK(stored->sources == 0b11);
  REQUIRE(stored->former.size() == 1);
  CHECK(stored->former[0].hash == test::hash_of(1));
}

TEST_CASE_FIXTURE(SyncFixture,
                  "intake: what takes the place of a wish without a source remembers it too") {
  const int gone = add_peer('a');
  const int here = add_peer('b');
  sync::Intake intake{index, peers, test::device('Z')};
  take(intake, gone, {test::entry("f", 2, {{test::device('A'), 2}})});
  {
    store::Transaction transaction{store};
    transaction.remove_peer(gone);
    transaction.commit();
  }
  CHECK(store.find_ticket("f")->sources == 0);
  const Entry older = test::entry("f", 1, {{test::device('A'), 1}});
  CHECK(take(intake, here, {older}).wishes == 1);
  const auto stored = store.find_ticket("f");
  CHECK(stored->wanted == older);
  CHECK(stored->sources == std::uint64_t{1} << here);
  REQUIRE(stored->former.size() == 1);
  CHECK(stored->former[0].hash == test::hash_of(2));
}

TEST_CASE_FIXTURE(SyncFixture, "intake: what a path has as a tombstone only is compared as well") {
  const int slot = add_peer('a');
  sync::Intake intake{index, peers, test::device('Z')};
  record(test::tombstone("f", {{test::device('A'), 2}}));
  CHECK(take(intake, slot, {test::entry("f", 1, {{test::device('A'), 1}})}).wishes == 0);
  CHECK(take(intake, slot, {test::tombstone("f", {{test::device('A'), 2}})}).wishes == 0);
  CHECK(take(intake, slot, {test::entry("f", 1, {{test::device('A'), 3}})}).wishes == 1);
}

TEST_CASE_FIXTURE(SyncFixture, "intake: what a lost index offered is wanted of nobody any more") {
  const int one = add_peer('a');
  const int other = add_peer('b');
  sync::Intake intake{index, peers, test::device('Z')};
  CHECK_FALSE(
      take(intake, one, {test::entry("f", 2, {{test::device('A'), 9}})}, wire::IndexRange{11, 0, 5})
          .forgot);
  // Something older is refused, and will have to be asked for again.
  take(intake, other, {test::entry("f", 1, {{test::device('B'), 3}})}, wire::IndexRange{22, 0, 7});
  CHECK(store.peers()[1].seen == 7);
  const sync::Taken taken = take(intake, one, {}, wire::IndexRange{12, 0, 1});
  CHECK(taken.forgot);
  CHECK(taken.seen == 1);
  CHECK(store.find_ticket("f")->sources == 0);
  CHECK(tickets.find("f")->ticket.sources == 0);
  CHECK(store.peers()[1].seen == 0);
  CHECK(peers.get(other)->peer.seen == 0);
  CHECK(peers.get(other)->state == state::PeerState::offline);
  CHECK_FALSE(
      take(intake, one, {}, wire::IndexRange{13, 0, 1}).forgot);  // nothing was wanted of it
  take(intake, other, {test::entry("f", 1, {{test::device('B'), 3}})}, wire::IndexRange{22, 0, 7});
  CHECK(store.find_ticket("f")->wanted.size == 2);
  CHECK(store.find_ticket("f")->sources == 2);
}

TEST_CASE("take_greeting: an address that the user gave stays, a learned one follows the peer") {
  wire::Greeting greeting;
  greeting.port = 5;
  Peer given;
  given.address = "host:1";
  sync::take_greeting(given, greeting, 1, "10.0.0.1");
  CHECK(given.address == "host:1");
  Peer unknown;
  sync::take_greeting(unknown, greeting, 1, "10.0.0.1");
  CHECK(unknown.address == "10.0.0.1:5");
  greeting.port = 6;
  sync::take_greeting(unknown, greeting, 1, "10.0.0.2");
  CHECK(unknown.address == "10.0.0.2:6");
  greeting.seen = wire::Seen{1, 40};
  sync::take_greeting(unknown, greeting, 1, "10.0.0.2");
  CHECK(unknown.told == 40);
  greeting.seen = wire::Seen{2, 40};  // of an index that we have lost
  sync::take_greeting(unknown, greeting, 1, "10.0.0.2");
  CHECK(unknown.told == 0);
}

TEST_CASE("has_gone_back: who has less of us than before, but not who only asks anew") {
  wire::Greeting reply;
  CHECK_FALSE(sync::has_gone_back(0, reply, 1));
  CHECK(sync::has_gone_back(40, reply, 1));  // it has us in its list anew
  Peer peer;
  reply.seen = wire::Seen{1, 40};
  sync::take_greeting(peer, reply, 1, "h");
  CHECK(peer.most_told == 40);
  CHECK_FALSE(sync::has_gone_back(peer.most_told, reply, 1));
  reply.seen = wire::Seen{1, 0, 40};  // asks anew
  CHECK_FALSE(sync::has_gone_back(peer.most_told, reply, 1));
  sync::take_greeting(peer, reply, 1, "h");
  CHECK(peer.told == 0);
  CHECK(peer.most_told == 40);
  reply.seen = wire::Seen{1, 39};
  CHECK(sync::has_gone_back(peer.most_told, reply, 1));
  reply.seen = wire::Seen{2, 50};
  CHECK(sync::has_gone_back(peer.most_told, reply, 1));
}
