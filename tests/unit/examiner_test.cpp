#include "scanner/examiner.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "common/share/cut.h"
#include "common/share/hash.h"
#include "common/share/marker.h"
#include "common/sync/announcement.h"
#include "common/sync/version.h"
#include "tests/unit/instance_fixture.h"
#include "tests/unit/noise.h"

using namespace lefting;
using scanner::Deletions;
using scanner::Examiner;
using scanner::Outcome;
namespace fs = std::filesystem;

namespace {

class Fixture : public test::InstanceFixture {
 public:
  Pipe stop = make_pipe();
  std::unique_ptr<Instance> instance = attach(state::Role::scanner);
  RoleContext context{*instance, &state::role_slot(instance->segment, state::Role::scanner),
                      stop.read_end.get(), UniqueFd{}};
  share::Share share = open_share(*instance);
  share::IgnoreRules rules{"*.tmp"};
  scanner::Moves moves;
  std::vector<Entry> announced;
  Examiner examiner{context, share, rules,
                    [this](const Entry& entry) { announced.push_back(entry); }};
  scanner::Recorder recorder{*instance, share};

  Fixture() { REQUIRE(share::write_marker(share, index_text(instance->store.index_id())).ok()); }

  std::string at(const std::string& path) const { return folder / ("share/" + path); }
  void write(const std::string& path, const std::string& text) const {
    std::ofstream{at(path)} << text;
  }
  std::string content(const std::string& path) const {
    std::ifstream in{at(path), std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  Outcome examine(const std::string& path) {
    for (;;) {
      const Outcome outcome = recorder.record(examiner.look({path}, moves), Deletions::record)[0];
      if (outcome != Outcome::hashing) return outcome;
      pollfd done{.fd = examiner.large_files().fd(), .events = POLLIN, .revents = 0};
      REQUIRE(poll_fds({&done, 1}, 10'000) == 1);
      CHECK(examiner.large_files().take_done() == std::vector<std::string>{path});
    }
  }
  /// Until what is announced is being hashed.
  void look_until_announced(const std::string& path) {
    const std::size_t before = announced.size();
    while (announced.size() == before) {
      REQUIRE(examiner.look({path}, moves)[0].outcome == Outcome::hashing);
      if (announced.size() != before) return;
      pollfd done{.fd = examiner.large_files().fd(), .events = POLLIN, .revents = 0};
      REQUIRE(poll_fds({&done, 1}, 10'000) == 1);
      examiner.large_files().take_done();
    }
  }
  void be_online() {
    Peer peer;
    peer.slot = 3;
    instance->peers.put(peer);
    instance->peers.set_state(3, state::PeerState::online);
  }
  bool knows(const std::string& path) {
    const auto record = instance->dictionary.find(path);
    return record && !record->entry.deleted;
  }
  /// A wish for `path`, which the downloader is at.
  void wish_for(const std::string& path) {
    Ticket ticket;
    ticket.wanted.path = path;
    ticket.sources = 1;
    store::Transaction transaction{instance->store};
    REQUIRE(transaction.add_ticket(ticket));
    transaction.commit();
    REQUIRE(instance->tickets.put({ticket}).ok());
    REQUIRE(instance->tickets.checkout(1, 1, 0).size() == 1);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "examiner: new, unchanged, changed, gone") {
  write("f", "one");
  CHECK(examine("f") == Outcome::written);
  CHECK(examine("f") == Outcome::unchanged);
  write("f", "other");
  CHECK(examine("f") == Outcome::written);
  CHECK(instance->dictionary.find("f")->entry.size == 5);
  fs::remove(at("f"));
  CHECK(recorder.record(examiner.look({"f"}, moves), Deletions::report)[0] == Outcome::gone);
  CHECK(knows("f"));
  CHECK(examine("f") == Outcome::written);
  CHECK_FALSE(knows("f"));
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: what is another by the time of recording is looked at again") {
  write("new", "one");
  write("changed", "one");
  write("gone", "one");
  CHECK(examine("gone") == Outcome::written);
  fs::remove(at("gone"));
  auto findings = examiner.look({"changed", "gone", "new"}, moves);
  write("changed", "other");
  write("gone", "is back");
  const auto outcomes = recorder.record(std::move(findings), Deletions::record);
  CHECK(outcomes == std::vector<Outcome>{Outcome::restless, Outcome::restless, Outcome::written});
  CHECK_FALSE(knows("changed"));
  CHECK(knows("gone"));
}

TEST_CASE_FIXTURE(Fixture, "examiner: where the downloader is at work nothing is recorded") {
  write("f", "one");
  auto findings = examiner.look({"f"}, moves);
  wish_for("f");
  CHECK(recorder.record(std::move(findings), Deletions::record)[0] == Outcome::claimed);
  CHECK(examine("f") == Outcome::claimed);
  SUBCASE("also what was moved away before it was recorded") {
    fs::remove(at("f"));
    CHECK(examine("f") == Outcome::claimed);
  }
  CHECK_FALSE(instance->dictionary.find("f"));
}

TEST_CASE_FIXTURE(Fixture, "examiner: what is ignored is not recorded, and not gone when it is") {
  write("f.tmp", "one");
  CHECK(examine("f.tmp") == Outcome::unchanged);
  CHECK_FALSE(knows("f.tmp"));
  rules = {};
  CHECK(examine("f.tmp") == Outcome::written);
  rules = share::IgnoreRules{"*.tmp"};
  fs::remove(at("f.tmp"));
  CHECK(examine("f.tmp") == Outcome::ignored);
  wish_for("f.tmp");
  CHECK(examine("f.tmp") == Outcome::claimed);
}

TEST_CASE_FIXTURE(Fixture, "examiner: what a waiting ticket wanted is the downloader's to record") {
  write("f", "one");
  CHECK(examine("f") == Outcome::written);
  const Entry one = instance->dictionary.find("f")->entry;
  instance->index.forget({"f"}, sync::Index::Peers::stay);
  Ticket ticket;
  ticket.wanted = one;
  ticket.sources = 1;
  SUBCASE("now") {}
  SUBCASE("before a newer wish") {
    ticket.former = {one};
    ticket.former[0].path.clear();
    ticket.wanted.hash.reset();
    ticket.wanted.deleted = true;
    ticket.wanted.size = 0;
  }
  {
    store::Transaction transaction{instance->store};
    REQUIRE(transaction.add_ticket(ticket));
    transaction.commit();
  }
  REQUIRE(instance->tickets.put({ticket}).ok());
  REQUIRE(instance->tickets.put_off("f", ticket.id, 500, {Cause::no_space, "no space"}));
  CHECK(examine("f") == Outcome::claimed);
  CHECK(instance->tickets.find("f")->state == state::TicketState::queued);
  REQUIRE(instance->tickets.put_off("f", ticket.id, state::kNoRetry, {Cause::no_source, "none"}));
  write("f", "a user's");
  CHECK(examine("f") == Outcome::written);
}

TEST_CASE_FIXTURE(Fixture, "examiner: what is adopted is concurrent with all that was said of it") {
  write("f", "one");
  CHECK(examine("f") == Outcome::written);
  std::vector<VersionVector> said = {instance->dictionary.find("f")->entry.version};
  // Older than what was said: as its own writer's this would be a part of that.
  fs::last_write_time(at("f"), fs::file_time_type::clock::now() - std::chrono::hours{1});
  for (int i = 0; i < 2; ++i) {
    instance->index.forget({"f"}, sync::Index::Peers::stay);
    examiner.begin_adoption();
    CHECK(examine("f") == Outcome::written);
    const VersionVector version = instance->dictionary.find("f")->entry.version;
    for (const auto& other : said) CHECK(sync::compare(version, other) == sync::Order::concurrent);
    said.push_back(version);
  }
  examiner.end_adoption();
  CHECK_FALSE(instance->store.adopter());
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: what was forgotten is not undercut by a clock that went back") {
  std::vector<sync::Change> changes(1);
  const ShortId own = instance->writer;
  instance->store.set_writer(own, false);
  const std::uint64_t ahead = wall_ms() + 100'000;
  changes[0].record.entry = {.path = "f", .hash = ContentHash{}, .version = {{own, ahead}}};
  REQUIRE(instance->index.commit(changes)[0]);
  instance->index.forget({"f"}, sync::Index::Peers::stay);
  write("f", "one");
  CHECK(examine("f") == Outcome::written);
  CHECK(instance->dictionary.find("f")->entry.version == VersionVector{{own, ahead + 1}});
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: a renamed file keeps its hash, and its old name goes with it") {
  write("f", "one");
  CHECK(examine("f") == Outcome::written);
  const ContentHash hash = *instance->dictionary.find("f")->entry.hash;
  fs::create_directory(at("d"));
  moves.add("f", "g");
  moves.add("g", "d/h");
  fs::rename(at("f"), at("d/h"));
  SUBCASE("told together") {
    auto findings = examiner.look({"d/h", "f"}, moves);
    CHECK(findings[0].moved_from == "f");
    const auto outcomes = recorder.record(std::move(findings), Deletions::report);
    CHECK(outcomes == std::vector<Outcome>{Outcome::written, Outcome::written});
    const auto moved = instance->dictionary.find("d/h");
    CHECK(moved->entry.hash == hash);
    CHECK_FALSE(knows("f"));
    // So that a peer that takes them in turn can rename too.
    CHECK(instance->dictionary.find("f")->sequence == moved->sequence + 1);
  }
  SUBCASE("but not what was changed since") {
    write("d/h", "other");
    CHECK(examiner.look({"d/h"}, moves)[0].moved_from.empty());
    CHECK(examine("d/h") == Outcome::written);
    CHECK(instance->dictionary.find("d/h")->entry.hash != hash);
  }
  SUBCASE("nor what is still there") {
    write("f", "one");
    CHECK(examiner.look({"d/h"}, moves)[0].moved_from.empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "examiner: a large new file is announced as what is recorded then") {
  const std::string content(17u << 20, 'x');
  write("small", "one");
  write("large", content);
  be_online();
  CHECK(examine("small") == Outcome::written);
  CHECK(announced.empty());
  CHECK(examine("large") == Outcome::written);
  REQUIRE(announced.size() == 1);
  Entry recorded = instance->dictionary.find("large")->entry;
  CHECK(recorded.hash.has_value());
  recorded.hash.reset();
  CHECK(announced[0] == recorded);
  SUBCASE("but not what may be a copy") {
    write("copy", content);
    CHECK(examine("copy") == Outcome::written);
  }
  SUBCASE("nor what may be older than what the peers have") {
    write("other", content + "z");
    examiner.begin_adoption();
    CHECK(examine("other") == Outcome::written);
  }
  SUBCASE("nor where nobody hears it") {
    instance->peers.set_state(3, state::PeerState::offline);
    write("other", content + "z");
    CHECK(examine("other") == Outcome::written);
  }
  SUBCASE("nor what has changed while it was read the last time") {
    write("other", content + "y");
    look_until_announced("other");
    CHECK(announced.size() == 2);
    std::ofstream{at("other"), std::ios::app} << "z";
    while (examine("other") == Outcome::restless) {
    }
    CHECK(knows("other"));
    announced.pop_back();
  }
  CHECK(announced.size() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: what is of the same size as others is announced if it is like none") {
  const std::size_t size = 17u << 20;
  write("large", test::noise(size, 1));
  CHECK(examine("large") == Outcome::written);
  be_online();
  SUBCASE("it is like none") {
    write("other", test::noise(size, 2));
    CHECK(examine("other") == Outcome::written);
    CHECK(announced.size() == 1);
  }
  SUBCASE("it is a copy") {
    write("copy", test::noise(size, 1));
    CHECK(examine("copy") == Outcome::written);
    CHECK(announced.empty());
  }
  SUBCASE("of one it is not known") {
    std::vector<sync::Change> changes(1);
    changes[0].record.entry = {
        .path = "unknown", .size = size, .hash = ContentHash{}, .version = {}};
    REQUIRE(instance->index.commit(changes)[0]);
    write("other", test::noise(size, 2));
    CHECK(examine("other") == Outcome::written);
    CHECK(announced.empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "examiner: a new version is cut, then announced, then hashed") {
  std::string content(17u << 20, 'x');
  write("large", content);
  CHECK(examine("large") == Outcome::written);
  be_online();
  content += "y";
  write("large", content);
  CHECK(examiner.look({"large"}, moves)[0].outcome == Outcome::hashing);
  CHECK(announced.empty());
  CHECK(examine("large") == Outcome::written);
  REQUIRE(announced.size() == 1);
  Entry recorded = instance->dictionary.find("large")->entry;
  const auto blocks = instance->store.find_manifest(
      sync::announced_content("large", sync::stamp_counter(recorded.version)), share::kCutRule);
  REQUIRE(blocks.has_value());
  CHECK(instance->store.find_manifest(*recorded.hash, share::kCutRule) == blocks);
  recorded.hash.reset();
  CHECK(announced[0] == recorded);
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: what is alike is cut before it is announced, and says of what") {
  std::string content = test::noise(17u << 20, 1);
  write("large", content);
  CHECK(examine("large") == Outcome::written);
  const Entry basis = instance->dictionary.find("large")->entry;
  const std::vector<Basis> bases = {{*basis.hash, basis.size, basis.mtime_ns}};
  content.replace(9'000'000, 4, "new!");
  be_online();
  SUBCASE("of another size") { content += "longer"; }
  SUBCASE("of the same size it isn't announced") {}
  write("alike", content);
  CHECK(examine("alike") == Outcome::written);
  const Entry alike = instance->dictionary.find("alike")->entry;
  CHECK(announced.size() == (alike.size == basis.size ? 0 : 1));
  const auto manifest = instance->store.find_manifest(*alike.hash, share::kCutRule);
  REQUIRE(manifest.has_value());
  CHECK(manifest->bases == bases);
  CHECK_FALSE(instance->store.find_manifest(*basis.hash, share::kCutRule).has_value());
  if (announced.empty()) return;
  const auto early = instance->store.find_manifest(
      sync::announced_content("alike", sync::stamp_counter(alike.version)), share::kCutRule);
  CHECK(early == manifest);
}

TEST_CASE_FIXTURE(Fixture,
                  "examiner: a large file is hashed beside all else, as it is at its end") {
  write("large", std::string(17u << 20, 'x'));
  const auto look = [&](const std::string& path) {
    return examiner.look({path}, moves)[0].outcome;
  };
  CHECK(look("large") == Outcome::hashing);
  CHECK_FALSE(examiner.large_files().is_idle());
  write("small", "one");
  CHECK(examine("small") == Outcome::written);
  SUBCASE("changed meanwhile") {
    write("large", std::string(17u << 20, 'y'));
    const Outcome outcome = examine("large");
    CHECK((outcome == Outcome::restless || outcome == Outcome::written));
  }
  SUBCASE("gone meanwhile") {
    fs::remove(at("large"));
    CHECK(examine("large") == Outcome::unchanged);
    CHECK_FALSE(knows("large"));
    return;
  }
  CHECK(examine("large") != Outcome::restless);
  const std::string now = content("large");
  const auto known = instance->dictionary.find("large");
  REQUIRE(known.has_value());
  CHECK(*known->entry.hash == share::hash_bytes(std::as_bytes(std::span{now}), HashKind::blake3));
}

TEST_CASE_FIXTURE(Fixture, "examiner: rules that nobody could read are told to nobody") {
  write(".leftingignore", std::string(share::kMostIgnoreBytes + 1, 'x'));
  CHECK(examine(".leftingignore") == Outcome::unreadable);
  write(".leftingignore", "*.tmp\n");
  CHECK(examine(".leftingignore") == Outcome::written);
}
