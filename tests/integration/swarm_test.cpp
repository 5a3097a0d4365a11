// Several peers fetch one large file.
#include <doctest/doctest.h>

#include <atomic>
#include <csignal>

#include "tests/integration/nodes.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;

namespace {

constexpr std::size_t kBytes = 64u << 20;

/// All know each other when the first one writes a file; returns its content.
std::string offer(Nodes& nodes, unsigned seed) {
  nodes[1].write("f", "");
  nodes.start_all();
  nodes.settle();
  std::string content = random_bytes(kBytes, seed);
  nodes[0].write("big", content);
  return content;
}

}  // namespace

TEST_CASE("swarm: of a file that four fetch its source sends little more than one copy") {
  Nodes nodes{5, false};
  const std::string content = offer(nodes, 1);
  for (std::size_t i = 1; i < 5; ++i) {
    REQUIRE(eventually([&] { return nodes[i].holds("big", content); }, Seconds{60}));
    CHECK(received(nodes[i]) < kBytes + kBytes / 8);
  }
  CHECK(sent(nodes[0]) < kBytes + kBytes / 2);
}

TEST_CASE("swarm: who fetches from one that goes away in the middle gets it all from the others") {
  Nodes nodes{4};
  const std::string content = offer(nodes, 2);
  REQUIRE(eventually([&] { return sent(nodes[3]) > 0; }));
  nodes[3].stop();
  for (std::size_t i = 1; i < 3; ++i) {
    REQUIRE(eventually([&] { return nodes[i].holds("big", content); }, Seconds{60}));
  }
}

TEST_CASE("swarm: whichever of those that fetch and give dies in the middle, all get it") {
  Nodes nodes{4};
  const std::string content = offer(nodes, 3);
  for (std::size_t death = 0; death < 6; ++death) {
    Node& node = nodes[1 + death % 3];
    const std::uint64_t before = received(node);
    REQUIRE(eventually([&] { return received(node) > before || node.exists("big"); }));
    const int pid = node.role_pid(death % 2 == 0 ? "downloader" : "listener");
    REQUIRE(pid > 0);
    send_signal(pid, SIGKILL);
  }
  for (std::size_t i = 1; i < 4; ++i) {
    REQUIRE(eventually([&] { return nodes[i].holds("big", content); }, Seconds{60}));
  }
}

TEST_CASE("swarm: what a member sends is believed only with the file's hash") {
  std::atomic<int> sent{0};
  RawPeer liar;  // after what its answers use
  Node source{true};
  Node node{true};
  liar.answer_with([&](const RawFrame& frame) -> std::optional<std::string> {
    const auto request = frame.json();
    const std::string operation = request["operation"].GetString();
    if (operation == "hello") return liar.hello_reply("[]");
    if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
    const std::string size = std::to_string(kBytes);
    if (request.HasMember("part")) {
      return raw_frame(R"({"reply":"get_file","status":"ok","block":1048576,"size":)" + size + "}",
                       std::string(kBytes >> 23, '\xff'));
    }
    ++sent;
    // The file's mtime is not known to a peer of this kind, but its hash was in the request.
    return raw_frame(R"({"reply":"get_file","status":"ok","mtime":0,"size":)" + size +
                         R"(,"offset":)" + std::to_string(request["offset"].GetUint64()) + "}",
                     std::string(request["length"].GetUint64(), 'x'));
  });
  const std::string content = random_bytes(kBytes, 3);
  source.start({node.address()});
  node.start({source.address(), liar.address()});
  const auto is_online = [&](std::size_t at) {
    return text_of(node.dump()["peers"][static_cast<rapidjson::SizeType>(at)], "state") == "online";
  };
  REQUIRE(eventually([&] { return is_online(0) && is_online(1); }));
  source.write("big", content);
  CHECK(eventually([&] { return node.holds("big", content); }, Seconds{60}));
  CHECK(sent > 0);
}
