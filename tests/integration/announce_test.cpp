// Large files are fetched while their source still hashes them.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>

#include "common/base/clock.h"
#include "tests/integration/node.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;

namespace {

/// Newer than all that a node has found by itself.
std::string version(std::uint64_t more) {
  return R"("version":{"AAAAAAAA":)" + std::to_string(lefting::wall_ms() + more) + "}";
}
const std::string kVersion = version(60'000);
const std::string kLaterVersion = version(90'000);

/// A source that has announced "big" without a hash, and says one when it is asked for the entry.
struct Source {
  std::string content = random_bytes(3'000'000, 1);
  std::atomic<bool> lies{false};  ///< sends other bytes
  std::string entry = raw_entry("big", content.size(), 5, "," + kVersion);
  std::atomic<int> asked{0};  ///< for the entry
  std::atomic<int> hellos{0};
  RawPeer peer;  // last: its threads use the others

  std::string error(const std::string& code) const {
    return raw_frame(R"({"reply":"get_file","status":"error","error":")" + code + R"("})");
  }
  std::string entry_reply(const std::string& more) const {
    return raw_frame(R"({"reply":"get_file","status":"ok","entry":)" +
                     raw_entry("big", content.size(), 5, "," + more) + "}");
  }
  std::string block(const rapidjson::Document& request) const {
    const std::size_t offset = request["offset"].GetUint64();
    std::string data = content.substr(offset, request["length"].GetUint64());
    if (lies) data.front() = static_cast<char>(~data.front());
    return raw_frame(R"({"reply":"get_file","status":"ok","mtime":5,"offset":)" +
                         std::to_string(offset) + R"(,"size":)" + std::to_string(content.size()) +
                         "}",
                     data);
  }
  /// `entry_answer` is called with how often it was asked for before.
  void answer_with(std::function<std::string(int)> entry_answer) {
    peer.answer_with([this, entry_answer = std::move(entry_answer)](const RawFrame& frame) {
      const auto request = frame.json();
      const std::string operation = request["operation"].GetString();
      hellos += operation == "hello";
      if (operation == "hello") return std::optional{peer.hello_reply("[" + entry + "]")};
      if (operation == "news") return std::optional{raw_frame(R"({"reply":"news","status":"ok"})")};
      const bool is_block = !request.HasMember("part");
      return std::optional{is_block ? block(request) : entry_answer(asked++)};
    });
  }
  std::string hashed() const { return R"("hash":")" + sha256(content) + R"(",)" + kVersion; }
};

/// A source of "big" that has told a new version of it before that was hashed.
struct NewVersion {
  Source source;
  Node node{true};
  std::string old = source.content;
  std::string next = source.content;
  std::int64_t mtime = 5;
  std::string manifest;  ///< empty: it has none
  std::atomic<bool> hashes{true};
  std::atomic<int> manifests{0};          ///< asked for
  std::atomic<std::uint64_t> fetched{0};  ///< bytes of the new version

  ~NewVersion() { source.peer.leave(); }

  std::string entry(const std::string& more) const {
    return raw_entry("big", next.size(), mtime, "," + more);
  }
  std::string hashed() const { return R"("hash":")" + sha256(next) + R"(",)" + kLaterVersion; }
  void answer() {
    source.peer.answer_with([this](const RawFrame& frame) -> std::optional<std::string> {
      const auto request = frame.json();
      const std::string operation = request["operation"].GetString();
      if (operation == "hello") {
        return source.peer.hello_reply(
            "[" + raw_entry("big", old.size(), 5, "," + source.hashed()) + "]");
      }
      if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
      const std::string part = request.HasMember("part") ? request["part"].GetString() : "block";
      const bool is_old = request.HasMember("hash") && request["hash"].GetString() == sha256(old);
      if (part == "manifest") {
        CHECK(request.HasMember("stamp") != request.HasMember("hash"));
        ++manifests;
        if (manifest.empty()) return source.error("not_found");
        return manifest_reply(manifest);
      }
      if (part == "entry") {
        if (!hashes) return source.error("busy");
        return raw_frame(R"({"reply":"get_file","status":"ok","entry":)" + entry(hashed()) + "}");
      }
      const std::string& content = is_old ? old : next;
      const std::uint64_t offset = request["offset"].GetUint64();
      const std::string data = content.substr(offset, request["length"].GetUint64());
      fetched += is_old ? 0 : data.size();
      return raw_frame(R"({"reply":"get_file","status":"ok","mtime":)" +
                           std::to_string(is_old ? 5 : mtime) + R"(,"offset":)" +
                           std::to_string(offset) + R"(,"size":)" + std::to_string(content.size()) +
                           "}",
                       data);
    });
  }
  /// The node has the old version, and hears of the new one.
  void begin() {
    answer();
    node.start({source.peer.address()});
    REQUIRE(eventually([&] { return node.holds("big", old) && node.dump()["tickets"].Empty(); }));
    tell(kLaterVersion);
  }
  void tell(const std::string& more) {
    RawConnection connection{node.port()};
    connection.send(source.peer.news("[" + entry(more) + "]"));
    REQUIRE(connection.receive().has_value());
  }
};

bool waits(Node& node, const std::string& word) {
  const auto dump = node.dump();
  return dump["tickets"].Size() == 1 &&
         text_of(dump["tickets"][0], "error").find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("announce: what comes before its hash gets its name when the source has said it") {
  Source source;
  Node node{true};
  source.answer_with([&](int before) {
    CHECK_FALSE(node.exists("big"));
    return before == 0 ? source.error("busy") : source.entry_reply(source.hashed());
  });
  node.start({source.peer.address()});
  CHECK(eventually([&] { return node.holds("big", source.content); }));
  CHECK(source.asked == 2);
  const auto files = node.dump();
  CHECK(text_of(files["files"][0], "hash") == sha256(source.content));
}

TEST_CASE("announce: what doesn't match the hash that came later never gets its name") {
  Source source;
  Node node{true};
  source.lies = true;
  source.answer_with([&](int) { return source.entry_reply(source.hashed()); });
  node.start({source.peer.address()});
  CHECK(eventually([&] { return waits(node, "hash"); }));
  CHECK_FALSE(node.exists("big"));
  source.lies = false;
  CHECK(eventually([&] { return node.holds("big", source.content); }));
}

TEST_CASE("announce: where the source has another version by now, that is fetched") {
  Source source;
  Node node{true};
  const std::string old = source.content;
  source.answer_with([&](int) {
    return source.entry_reply(R"("hash":")" + sha256(old) + R"(",)" + kLaterVersion);
  });
  node.start({source.peer.address()});
  CHECK(eventually([&] { return source.asked > 0 && node.dump()["tickets"].Empty(); }));
  CHECK_FALSE(node.exists("big"));
  RawConnection connection{node.port()};
  connection.send(source.peer.news(
      "[" +
      raw_entry("big", old.size(), 5, R"(,"hash":")" + sha256(old) + R"(",)" + kLaterVersion) +
      "]"));
  REQUIRE(connection.receive().has_value());
  CHECK(eventually([&] { return node.holds("big", old); }));
}

TEST_CASE("announce: what never came to be is given up at once, and nobody is asked anew") {
  Source source;
  Node node{true};
  SUBCASE("gone") {
    source.answer_with([&](int) { return source.error("not_found"); });
  }
  SUBCASE("recorded under an older version, as where a clock was set back") {
    source.answer_with([&](int) {
      return source.entry_reply(R"("hash":")" + sha256(source.content) + R"(",)" + version(1));
    });
  }
  node.start({source.peer.address()});
  CHECK(eventually([&] { return source.asked > 0 && node.dump()["tickets"].Size() == 0; }));
  CHECK(source.asked == 1);
  CHECK_FALSE(node.exists("big"));
  CHECK_FALSE(node.exists("big.lefting"));
  CHECK(source.hellos == 1);
}

TEST_CASE("announce: a source that never says a hash is believed, as one without versions is") {
  Source source;
  Node node{true};
  source.answer_with([&](int) { return source.entry_reply(kVersion); });
  node.start({source.peer.address()});
  CHECK(eventually([&] { return node.holds("big", source.content); }));
}

TEST_CASE("announce: what may be here already is not fetched before its hash is told") {
  Source source;
  Node node{true};
  node.write("big", source.content);
  source.answer_with([&](int) { return source.entry_reply(source.hashed()); });
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return source.hellos > 0 && node.dump()["tickets"].Empty(); }));
  RawConnection connection{node.port()};
  connection.send(source.peer.news(
      "[" + raw_entry("big", source.content.size(), 5, "," + source.hashed()) + "]"));
  REQUIRE(connection.receive().has_value());
  CHECK(eventually([&] { return node.dump()["tickets"].Empty(); }));
  CHECK(node.tree().size() == 1);
  CHECK(source.peer.requests().empty());
}

TEST_CASE(
    "announce: of a new version only what the old one lacks is fetched before its hash comes") {
  NewVersion version;
  version.next.replace(1'500'000, 5, "fresh");
  version.manifest = blocks_of(version.next);
  version.hashes = false;
  version.begin();
  REQUIRE(eventually([&] { return version.fetched > 0 && version.node.exists("big.lefting"); }));
  CHECK(version.node.holds("big", version.old));
  version.hashes = true;
  version.tell(version.hashed());
  CHECK(eventually([&] { return version.node.holds("big", version.next); }));
  CHECK(version.fetched < 1'100'000);
}

TEST_CASE("announce: a new version that is not what its blocks say is fetched as a whole") {
  NewVersion version;
  version.next.replace(1'500'000, 5, "fresh");
  std::string lie = version.next;
  lie[10] = static_cast<char>(~lie[10]);
  version.old[10] = lie[10];
  version.source.content = version.old;
  version.manifest = blocks_of(lie);
  version.begin();
  version.tell(version.hashed());
  CHECK(eventually([&] { return version.node.holds("big", version.next); }));
  CHECK(version.fetched >= version.next.size());
}

TEST_CASE(
    "announce: a new version waits for its hash where it may be the old one, or has no blocks") {
  NewVersion version;
  SUBCASE("only touched") {
    version.mtime = 6;
    version.manifest = blocks_of(version.next);
  }
  SUBCASE("no blocks") { version.next.replace(1'500'000, 5, "fresh"); }
  version.hashes = false;
  version.begin();
  CHECK(
      eventually([&] { return version.manifests == 1 && version.node.dump()["tickets"].Empty(); }));
  CHECK(version.fetched == 0);
  version.hashes = true;
  version.tell(version.hashed());
  CHECK(eventually([&] {
    return version.node.holds("big", version.next) && version.node.dump()["tickets"].Empty();
  }));
  CHECK((version.fetched == 0) == (version.next == version.old));
}

TEST_CASE("announce: a large file, new or cut, is told twice, first without its hash") {
  std::mutex mutex;
  std::vector<std::string> told;
  RawPeer peer;  // after what its answers use
  Node node{true};
  peer.answer_with([&](const RawFrame& frame) {
    const auto request = frame.json();
    const std::string operation = request["operation"].GetString();
    if (operation == "hello") return std::optional{peer.hello_reply("[]")};
    if (frame.data.find("big") != std::string::npos) {
      const std::lock_guard lock{mutex};
      told.push_back(frame.data);
    }
    return std::optional{raw_frame(R"({"reply":"news","status":"ok"})")};
  });
  node.start({peer.address()});
  std::string content = random_bytes(20u << 20, 2);
  const std::string old_hash = blake3(content);
  node.place("big", content);
  const auto has_told = [&](std::size_t count) {
    return eventually([&] {
      const std::lock_guard lock{mutex};
      return told.size() == count;
    });
  };
  REQUIRE(has_told(2));
  content.replace(5'000'000, 5, "fresh");
  node.place("big", content);
  REQUIRE(has_told(4));
  const std::lock_guard lock{mutex};
  const auto stamp = [&](const std::string& text) {
    const std::size_t at = text.find('{', text.find("version"));
    return text.substr(at, text.find('}', at) + 1 - at);
  };
  for (const std::size_t first : {0u, 2u}) {
    CHECK(told[first].find("blake3") == std::string::npos);
    CHECK(stamp(told[first]) == stamp(told[first + 1]));
  }
  CHECK(told[1].find(old_hash) != std::string::npos);
  CHECK(told[3].find(blake3(content)) != std::string::npos);
  RawConnection connection{node.port()};
  connection.send(raw_frame(R"({"operation":"get_file","path":"big","part":"manifest","stamp":)" +
                            stamp(told[2]) + "}"));
  const auto reply = connection.receive();
  REQUIRE(reply.has_value());
  CHECK(reply->data == blocks_of(content));
}

TEST_CASE("announce: while a large file is hashed small ones are recorded, and a stop is quick") {
  Node node{true};
  node.start({});
  { std::ofstream{node.share("../large")}; }
  std::filesystem::resize_file(node.share("../large"), std::uint64_t{16} << 30);  // sparse
  std::filesystem::rename(node.share("../large"), node.share("large"));
  node.write("small", "one");
  const auto paths = [&] {
    std::set<std::string> out;
    const auto dump = node.dump();
    for (const auto& file : dump["files"].GetArray()) out.insert(text_of(file, "path"));
    return out;
  };
  REQUIRE(eventually([&] { return paths().contains("small"); }));
  CHECK_FALSE(paths().contains("large"));
  node.stop();
  CHECK_FALSE(paths().contains("large"));
}

TEST_CASE("announce: a peer that is offline is not waited for") {
  RawPeer peer;
  Node node{true};
  Node other{true};
  peer.answer_with([&](const RawFrame& frame) -> std::optional<std::string> {
    if (std::string{frame.json()["operation"].GetString()} == "hello")
      return peer.hello_reply("[]");
    return raw_frame(R"({"reply":"news","status":"ok"})");
  });
  node.start({peer.address(), other.address()});
  const auto state_of = [&](int at) { return text_of(node.dump()["peers"][at], "state"); };
  REQUIRE(eventually([&] { return state_of(0) == "online" && state_of(1) == "offline"; }));
  const int scanner = node.role_pid("scanner");
  const std::string content = random_bytes(20u << 20, 3);
  node.write("big", content);
  CHECK(eventually([&] { return node.dump()["files"].Size() == 1; }));
  CHECK(node.role_pid("scanner") == scanner);
}
