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
  RawPeer peer;
  std::string content = random_bytes(3'000'000, 1);
  std::atomic<bool> lies{false};  ///< sends other bytes
  std::string entry = raw_entry("big", content.size(), 5, "," + kVersion);
  std::atomic<int> asked{0};  ///< for the entry
  std::atomic<int> hellos{0};

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
  CHECK(eventually([&] { return waits(node, "another version"); }));
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

TEST_CASE("announce: what may be here already waits for its hash, and is not fetched then") {
  Source source;
  Node node{true};
  node.write("big", source.content);
  source.answer_with([&](int) { return source.entry_reply(source.hashed()); });
  node.start({source.peer.address()});
  CHECK(eventually([&] { return waits(node, "hashing"); }));
  RawConnection connection{node.port()};
  connection.send(source.peer.news(
      "[" + raw_entry("big", source.content.size(), 5, "," + source.hashed()) + "]"));
  REQUIRE(connection.receive().has_value());
  CHECK(eventually([&] { return node.dump()["tickets"].Empty(); }));
  CHECK(node.tree().size() == 1);
  CHECK(source.peer.requests().empty());
}

TEST_CASE("announce: a large new file is told twice, first without its hash") {
  Node node{true};
  RawPeer peer;
  std::mutex mutex;
  std::vector<std::string> told;
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
  const std::string content = random_bytes(20u << 20, 2);
  node.write("big", content);
  REQUIRE(eventually([&] {
    const std::lock_guard lock{mutex};
    return told.size() == 2;
  }));
  const std::lock_guard lock{mutex};
  CHECK(told[0].find("hash") == std::string::npos);
  CHECK(told[1].find(sha256(content)) != std::string::npos);
  const auto version_of = [](const std::string& text) {
    return text.substr(text.find("version"), 40);
  };
  CHECK(version_of(told[0]) == version_of(told[1]));
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
