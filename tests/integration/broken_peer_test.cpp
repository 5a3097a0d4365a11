// Peers that stall, lie, send too much, die and return: spoken to in raw bytes.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <map>

#include "tests/integration/node.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

std::string with_hash(const std::string& content) {
  return R"(,"hash":")" + sha256(content) + R"(","version":{"AAAAAAAA":7})";
}

std::string ok_block(const RawFrame& request, const std::string& content, std::int64_t mtime_ns) {
  const auto json = request.json();
  const std::size_t offset = json.HasMember("offset") ? json["offset"].GetUint64() : 0;
  const std::string data = content.substr(offset, json["length"].GetUint64());
  return raw_frame(R"({"reply":"get_file","status":"ok","offset":)" + std::to_string(offset) +
                       R"(,"size":)" + std::to_string(content.size()) + R"(,"mtime":)" +
                       std::to_string(mtime_ns) + "}",
                   data);
}

std::string operation_of(const RawFrame& frame) { return frame.json()["operation"].GetString(); }

/// Serves `files` by path; everything else as a peer that has nothing.
RawPeer::Answer serving(RawPeer& peer, std::map<std::string, std::string> files,
                        const std::string& entries) {
  return [&peer, files = std::move(files), entries](const RawFrame& frame) {
    const std::string operation = operation_of(frame);
    if (operation == "hello") return std::optional{peer.hello_reply(entries)};
    if (operation == "news") return std::optional{raw_frame(R"({"reply":"news","status":"ok"})")};
    const auto it = files.find(frame.json()["path"].GetString());
    if (it == files.end()) {
      return std::optional{
          raw_frame(R"({"reply":"get_file","status":"error","error":"not_found"})")};
    }
    return std::optional{ok_block(frame, it->second, 5)};
  };
}

std::string error_of(const std::optional<RawFrame>& frame) {
  REQUIRE(frame.has_value());
  const auto json = frame->json();
  return json.HasMember("error") ? json["error"].GetString() : "";
}

const std::string kGetX = R"({"operation":"get_file","path":"x","length":100})";

}  // namespace

TEST_CASE("raw peer: a peer of a hundred lines takes part, with and without versions and hashes") {
  Node node{true};
  RawPeer peer;
  const std::string big = random_bytes(2'500'000, 4);
  const std::string list = "[" + raw_entry("small", 5, 5) + "," +
                           raw_entry("d/big", big.size(), 5, with_hash(big)) + "]";
  peer.answer_with(serving(peer, {{"small", "12345"}, {"d/big", big}}, list));
  node.write("x", "mine");
  node.start({peer.address()});
  CHECK(eventually([&] { return node.holds("small", "12345") && node.holds("d/big", big); }));
  RawConnection connection{node.port()};
  connection.send(raw_frame(kGetX));
  const auto block = connection.receive();
  REQUIRE(block.has_value());
  CHECK(block->data == "mine");
}

TEST_CASE("raw peer: frames byte by byte, and many in one write, are answered in order") {
  Node node{true};
  node.write("x", "content");
  node.start({});
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  RawConnection slow{node.port()};
  slow.send_byte_by_byte(raw_frame(kGetX));
  CHECK(slow.receive()->data == "content");
  RawConnection many{node.port()};
  std::string all;
  for (int i = 0; i < 200; ++i) {
    all += raw_frame(R"({"operation":"get_file","path":"x","offset":)" + std::to_string(i % 7) +
                     R"(,"length":1,"id":)" + std::to_string(i) + "}");
  }
  many.send(all);
  for (int i = 0; i < 200; ++i) {
    const auto frame = many.receive();
    REQUIRE(frame.has_value());
    CHECK(frame->json()["id"].GetInt() == i);
    CHECK(frame->data == std::string(1, "content"[i % 7]));
  }
}

TEST_CASE("raw peer: each fault gets its code, and the connection stays or ends as it should") {
  Node node{true};
  node.write("x", "content");
  fs::create_symlink("/etc/hostname", node.share("link"));
  fs::create_directory_symlink("/etc", node.share("etc"));
  node.start({});
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  const std::vector<std::pair<std::string, std::string>> open = {
      {R"({"operation":"dance"})", "unknown_operation"},
      {R"({"operation":"get_file"})", "bad_request"},
      {R"({"operation":"get_file","path":"x"})", "bad_request"},
      {R"({"operation":"get_file","path":"../x","length":1})", "bad_path"},
      {R"({"operation":"get_file","path":"/etc/passwd","length":1})", "bad_path"},
      {R"({"operation":"get_file","path":"link","length":1})", "bad_path"},
      {R"({"operation":"get_file","path":"etc/hostname","length":1})", "bad_path"},
      {R"({"operation":"get_file","path":"x.lefting","length":1})", "bad_path"},
      {R"({"operation":"get_file","path":"nothing","length":1})", "not_found"},
      {R"({"operation":"get_file","path":"x","offset":8,"length":1})", "out_of_range"},
      {R"({"operation":"get_file","path":"x","length":16777217})", "too_large"},
      {R"({"operation":"get_file","path":"x","length":1,"hash":")" + std::string(64, '0') + "\"}",
       "changed"},
      {R"({"operation":"get_file","path":"x","part":"manifest"})", "not_found"},
  };
  RawConnection connection{node.port()};
  for (const auto& [header, code] : open) {
    CAPTURE(header);
    connection.send(raw_frame(header, "some data that nobody wants"));
    CHECK(error_of(connection.receive()) == code);
  }
  connection.send(raw_frame(R"({"operation":"get_file","path":"x","part":"entry"})"));
  const auto entry = connection.receive();
  REQUIRE(entry.has_value());
  CHECK(text_of(entry->json()["entry"], "blake3") == blake3("content"));

  const std::vector<std::pair<std::string, std::string>> closing = {
      {raw_frame("{"), "bad_frame"},
      {raw_frame("[]"), "bad_frame"},
      {raw_frame("{}junk"), "bad_frame"},
      {raw_frame(std::string(60000, '[')), "bad_frame"},
      {std::string("\0\0\0\1\0\0\0\0{", 9), "bad_frame"},
      {std::string("\0\2\0\0\0\0\0\0", 8), "too_large"},
      {std::string("\0\0\0\2\1\0\0\1{}", 10), "too_large"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + random_bytes(100'000, 2), "too_large"},
  };
  for (const auto& [bytes, code] : closing) {
    CAPTURE(code);
    RawConnection bad{node.port()};
    bad.send(bytes);
    CHECK(error_of(bad.receive()) == code);
    CHECK(bad.closed());
  }
}

TEST_CASE("raw peer: a device that is not in the list can't put anything into the share") {
  Node node{true};
  RawPeer peer;
  node.start({});
  for (const std::string& greeting :
       {peer.news("[" + raw_entry("evil", 1, 1) + "]"), peer.hello("[]")}) {
    RawConnection connection{node.port()};
    connection.send(greeting);
    CHECK(error_of(connection.receive()) == "not_trusted");
    CHECK(connection.closed());
  }
  CHECK(node.dump()["tickets"].Empty());
}

TEST_CASE("raw peer: bad entries are rejected by name and the good ones are taken") {
  Node node{true};
  RawPeer peer;
  const std::string good = "good content";
  peer.answer_with(serving(peer, {{"good", good}}, "[]"));
  node.start({peer.address()});
  RawConnection connection{node.port()};
  connection.send(peer.news("[" + raw_entry("../evil", 1, 1) + "," + raw_entry("/abs", 1, 1) + "," +
                            raw_entry("a//b", 1, 1) + "," + raw_entry("p.lefting", 1, 1) + "," +
                            R"({"path":"nosize"},{"size":1},7,)" +
                            raw_entry("good", good.size(), 5, with_hash(good)) + "]"));
  const auto reply = connection.receive();
  REQUIRE(reply.has_value());
  const auto json = reply->json();
  CHECK(text_of(json, "status") == "ok");
  REQUIRE(json.HasMember("rejected"));
  CHECK(json["rejected"].Size() == 7);
  CHECK(eventually([&] { return node.holds("good", good); }));
  CHECK(node.tree().size() == 1);
  CHECK_FALSE(fs::exists(fs::path{node.share()}.parent_path().parent_path() / "evil"));
}

TEST_CASE("raw peer: content that doesn't match its hash never gets its name") {
  std::atomic<bool> lying{true};
  Node node{true};
  RawPeer peer;
  const std::string announced = random_bytes(1'500'000, 1);
  const std::string list = "[" + raw_entry("lie", announced.size(), 5, with_hash(announced)) + "," +
                           raw_entry("truth", 5, 5, with_hash("12345")) + "]";
  const RawPeer::Answer honest = serving(peer, {{"lie", announced}, {"truth", "12345"}}, list);
  const RawPeer::Answer liar =
      serving(peer, {{"lie", random_bytes(1'500'000, 2)}, {"truth", "12345"}}, list);
  peer.answer_with([&lying, honest, liar](const RawFrame& frame) {
    return lying ? liar(frame) : honest(frame);
  });
  node.start({peer.address()});
  CHECK(eventually([&] { return node.holds("truth", "12345"); }));
  CHECK(eventually([&] {
    const auto dump = node.dump();
    return dump["tickets"].Size() == 1 &&
           text_of(dump["tickets"][0], "error").find("hash") != std::string::npos;
  }));
  CHECK_FALSE(node.exists("lie"));
  lying = false;
  CHECK(eventually([&] { return node.holds("lie", announced); }));
}

TEST_CASE("raw peer: one that answers with too much, too little or nonsense harms nobody else") {
  const std::string list = "[" + raw_entry("odd", 10, 5) + "]";
  std::atomic<int> asked{0};
  Node node{true};
  RawPeer peer;  // after what its answers use
  Node friendly{true};
  friendly.write("from a friend", "hello");
  peer.answer_with([&](const RawFrame& frame) -> std::optional<std::string> {
    if (operation_of(frame) == "hello") return peer.hello_reply(list);
    if (operation_of(frame) == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
    switch (asked++ % 4) {
      case 0:
        return raw_frame(R"({"reply":"get_file","status":"ok","offset":0,"size":10,"mtime":5})",
                         std::string(100'000, 'x'));
      case 1:
        return raw_frame(R"({"reply":"get_file","status":"ok","offset":0,"size":10,"mtime":5})",
                         "short");
      case 2:
        return std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
      default:
        return std::nullopt;
    }
  });
  node.start({peer.address(), friendly.address()});
  friendly.start({node.address()});
  CHECK(eventually([&] { return node.holds("from a friend", "hello"); }));
  CHECK(eventually([&] { return asked >= 4; }));
  CHECK_FALSE(node.exists("odd"));
  friendly.write("still works", "yes");
  CHECK(eventually([&] { return node.holds("still works", "yes"); }));
}

TEST_CASE(
    "raw peer: what a list begins with comes before its end; one that breaks off is no hello") {
  const std::string entries = "[" + raw_entry("first", 4, 5) + "]";
  Node node{true};
  RawPeer peer;
  const auto serve = serving(peer, {{"first", "here"}}, entries);
  peer.answer_with([&](const RawFrame& frame) {
    if (operation_of(frame) != "hello") return serve(frame);
    return std::optional{peer.hello_reply(entries, R"(,"more":true)")};
  });
  node.start({peer.address()});
  CHECK(eventually([&] { return node.holds("first", "here"); }));
  const auto state = [&] { return text_of(node.dump()["peers"][0], "state"); };
  CHECK(state() == "online");
  peer.leave();
  CHECK(eventually([&] { return state() == "offline"; }));
}

TEST_CASE("raw peer: news are answered while a long list is still being sent to that peer") {
  Node node{true};
  RawPeer peer;
  const std::string deep = "d/" + std::string(240, 'e') + "/" + std::string(240, 'f') + "/";
  fs::create_directories(node.share(deep));
  for (int i = 0; i < 6'000; ++i) {
    node.write(deep + std::to_string(i) + std::string(240, 'g'), "");
  }
  node.start({peer.address()});
  REQUIRE(eventually([&] { return node.dump()["files"].Size() == 6'000; }));
  RawConnection slow{node.port(), 4096};
  slow.send(peer.hello("[]"));
  REQUIRE(slow.comes());  // the list has begun
  RawConnection other{node.port()};
  other.send(peer.news("[]"));
  const auto reply = other.receive();
  REQUIRE(reply.has_value());
  CHECK(text_of(reply->json(), "status") == "ok");
}

TEST_CASE(
    "raw peer: a file without its source waits, and says so, and comes when the source does") {
  Node node{true};
  auto peer = std::make_unique<RawPeer>();
  const std::string address = peer->address();
  node.start({address});
  RawConnection connection{node.port()};
  connection.send(peer->news("[" + raw_entry("late", 4, 5) + "]"));
  REQUIRE(connection.receive().has_value());
  CHECK(eventually([&] {
    const auto dump = node.dump();
    return dump["tickets"].Size() == 1 && text_of(dump["tickets"][0], "state") == "waiting" &&
           !text_of(dump["tickets"][0], "error").empty();
  }));
  peer->answer_with(serving(*peer, {{"late", "here"}}, "[" + raw_entry("late", 4, 5) + "]"));
  CHECK(eventually([&] { return node.holds("late", "here"); }, Seconds{30}));
}

TEST_CASE("raw peer: a change made here while its older version is received is kept") {
  const std::string content = "from the peer, which is newer";
  std::atomic<bool> edited{false};
  const std::string list = "[" + raw_entry("doc", content.size(), 5, with_hash(content)) + "]";
  Node node{true};
  RawPeer peer;  // after what its answers use
  peer.answer_with([&](const RawFrame& frame) -> std::optional<std::string> {
    if (operation_of(frame) == "hello") return peer.hello_reply(list);
    if (operation_of(frame) == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
    // The user writes while the block is on its way.
    if (!edited.exchange(true)) node.write("doc", "written here meanwhile");
    return ok_block(frame, content, 5);
  });
  node.start({peer.address()});
  CHECK(eventually([&] {
    for (const auto& [path, text] : node.tree()) {
      if (text == "written here meanwhile") return true;
    }
    return false;
  }));
  CHECK(eventually([&] { return node.dump()["tickets"].Empty(); }));
  bool kept = false;
  for (const auto& [path, text] : node.tree()) kept |= text == "written here meanwhile";
  CHECK(kept);
}
