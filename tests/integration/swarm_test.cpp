// Several peers fetch one large file.
#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <functional>

#include "common/base/clock.h"
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

std::string ok(const std::string& more) {
  return R"({"reply":"get_file","status":"ok","size":)" + std::to_string(kBytes) + more + "}";
}

std::string block_reply(std::uint64_t offset, const std::string& data) {
  return raw_frame(ok(R"(,"mtime":5,"offset":)" + std::to_string(offset)), data);
}

/// A node that fetches "big" from a source and from a member: that says it has all of it, and gives
/// what `give` makes, a reply or nothing. The source gives the second half only when the member was
/// asked.
struct Trio {
  using Give =
      std::function<std::string(const Trio& trio, std::uint64_t offset, std::uint64_t length)>;
  const std::string content = random_bytes(kBytes, 4);
  const Give give;
  const std::string entry;
  std::atomic<std::uint64_t> given{0};  ///< bytes, by the source
  std::atomic<int> asked{0};            ///< the member, for blocks
  RawPeer member{'B'};                  // the threads of these two use all above
  RawPeer source;
  Node node{true};

  Trio(Give gives, bool has_hash)
      : give{std::move(gives)},
        entry{raw_entry("big", kBytes, 5,
                        R"(,"version":{"AAAAAAAA":)" + std::to_string(lefting::wall_ms() + 60'000) +
                            "}" +
                            (has_hash ? R"(,"hash":")" + sha256(content) + "\"" : std::string{}))} {
    member.answer_with([this](const RawFrame& frame) {
      return answer_as(member, frame.json(), [&](const auto& request) { return have(request); });
    });
    source.answer_with([this](const RawFrame& frame) {
      return answer_as(source, frame.json(), [&](const auto& request) { return serve(request); });
    });
    node.start({source.address(), member.address()});
    const auto is_online = [&](rapidjson::SizeType at) {
      return text_of(node.dump()["peers"][at], "state") == "online";
    };
    REQUIRE(eventually([&] { return is_online(0) && is_online(1); }));
    RawConnection connection{node.port()};
    connection.send(source.news("[" + entry + "]"));
    REQUIRE(connection.receive().has_value());
  }
  ~Trio() {
    source.leave();
    member.leave();
  }

 private:
  using Request = rapidjson::Document;
  static std::optional<std::string> answer_as(
      const RawPeer& peer, const Request& request,
      const std::function<std::string(const Request&)>& get_file) {
    const std::string operation = request["operation"].GetString();
    if (operation == "hello") return peer.hello_reply("[]");
    if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
    return get_file(request);
  }
  std::string have(const Request& request) {
    if (request.HasMember("part")) {
      return raw_frame(ok(R"(,"block":1048576)"), std::string(kBytes >> 23, '\xff'));
    }
    ++asked;
    return give(*this, request["offset"].GetUint64(), request["length"].GetUint64());
  }
  std::string serve(const Request& request) {
    if (request.HasMember("part")) {
      const bool is_entry = request["part"].GetString() == std::string{"entry"};
      return raw_frame(is_entry ? ok(R"(,"entry":)" + entry)
                                : R"({"reply":"get_file","status":"error","error":"not_found"})");
    }
    if (given >= kBytes / 2) eventually([&] { return asked > 0; });
    const std::uint64_t offset = request["offset"].GetUint64();
    const std::uint64_t length = request["length"].GetUint64();
    given += length;
    return block_reply(offset, content.substr(offset, length));
  }
};

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
  REQUIRE(eventually(
      [&] { return sent(nodes[3]) > 0 || (nodes[1].exists("big") && nodes[2].exists("big")); }));
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

TEST_CASE("swarm: what members send is taken only where the file's hash proves it") {
  bool has_hash = false;
  SUBCASE("it is another") { has_hash = true; }
  SUBCASE("its source never says one") {}
  Trio trio{[](const Trio&, std::uint64_t offset, std::uint64_t length) {
              return block_reply(offset, std::string(length, 'x'));
            },
            has_hash};
  REQUIRE(eventually([&] { return trio.node.exists("big"); }, Seconds{60}));
  CHECK(trio.node.holds("big", trio.content));
  CHECK(trio.asked > 0);
  CHECK(trio.given > kBytes);
}

TEST_CASE("swarm: a member that does not answer holds nobody up") {
  Trio trio{[](const Trio&, std::uint64_t, std::uint64_t) { return std::string{}; }, true};
  CHECK(eventually([&] { return trio.node.holds("big", trio.content); }));
  CHECK(trio.asked > 0);
}

TEST_CASE("swarm: the source goes on beside a member that has everything") {
  std::atomic<bool> went_on{false};
  Trio trio{[&](const Trio& all, std::uint64_t offset, std::uint64_t length) {
              // Less than a member is waited for.
              const auto goes_on = [&] { return all.given > kBytes / 2; };
              went_on = went_on || eventually(goes_on, Seconds{4});
              return block_reply(offset, all.content.substr(offset, length));
            },
            true};
  CHECK(eventually([&] { return trio.node.holds("big", trio.content); }, Seconds{60}));
  CHECK(went_on);
}
