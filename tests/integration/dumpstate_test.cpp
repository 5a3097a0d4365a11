// dumpstate shows what there is, running or not, and changes nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "common/base/os.h"
#include "tests/integration/dump_fixture.h"
#include "tests/integration/raw_peer.h"

using namespace lefting;
using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

/// Each file of a folder with what would tell that somebody wrote to it.
using Files = std::map<std::string, std::tuple<std::uint64_t, std::int64_t, std::string>>;

Files files_in(const std::string& folder) {
  Files out;
  for (const auto& item : fs::recursive_directory_iterator{folder}) {
    if (!item.is_regular_file()) continue;
    auto content = read_file(item.path());
    out[item.path()] = {item.file_size(), item.last_write_time().time_since_epoch().count(),
                        content ? content.take() : std::string{}};
  }
  return out;
}

const std::vector<std::vector<std::string>> kCalls = {
    {}, {"summary"}, {"files"}, {"tickets"}, {"peers"}, {"roles"}, {"--json"}, {"files", "--json"}};

}  // namespace

TEST_CASE("dumpstate: a folder that was never started is exit 3, and nothing is made in it") {
  Node node;
  REQUIRE(!node.id().empty());
  fs::remove(node.state() + "/certificate.pem");
  const Files before = files_in(node.state());
  for (const auto& call : kCalls) {
    const Ended ended = dumpstate(node, call);
    CHECK(ended.code == 3);
    CHECK(ended.out.empty());
    CHECK(ended.err.find("supervisor start") != std::string::npos);
  }
  CHECK(node.supervisor({"peer", "list"}).code == 0);
  CHECK(files_in(node.state()) == before);
}

TEST_CASE("dumpstate: nothing changes in the folder of a stopped or a killed instance") {
  for (const bool killed : {false, true}) {
    CAPTURE(killed);
    Node node;
    const auto paths = fill(node, 50);
    if (killed) {
      node.kill_all();
      CHECK(fs::file_size(node.state() + "/lefting.db-wal") > 0);
    } else {
      node.stop();
      CHECK_FALSE(fs::exists(node.state() + "/lefting.db-wal"));
    }
    const std::string id = node.id();
    fs::remove(node.state() + "/certificate.pem");
    const Files before = files_in(node.state());
    for (const auto& call : kCalls) {
      CAPTURE(call.size());
      const Ended ended = dumpstate(node, call);
      CHECK(ended.code == 0);
      CHECK(ended.err.empty());
      CHECK(!ended.out.empty());
    }
    const auto dump = node.dump();
    CHECK(listed(dump) == paths);
    CHECK(text_of(dump, "device") == id);
    CHECK(number_of(dump["index"], "sequence") == last_sequence(dump));
    CHECK(text_of(dump["roles"][0], "state") == "stopped");
    CHECK(files_in(node.state()) == before);
  }
}

TEST_CASE("dumpstate: a store without its -shm is refused with what to do") {
  Node node;
  fill(node, 3);
  node.kill_all();
  fs::remove(node.state() + "/lefting.db-shm");
  const Ended ended = dumpstate(node, {"files"});
  CHECK(ended.code == 1);
  CHECK(ended.err.find("supervisor start") != std::string::npos);
  CHECK_FALSE(fs::exists(node.state() + "/lefting.db-shm"));
}

TEST_CASE("dumpstate: a garbled store is exit 1 with what to do") {
  for (const bool header : {true, false}) {
    CAPTURE(header);
    Node node;
    fill(node, 2000);
    node.stop();
    std::fstream store{node.state() + "/lefting.db",
                       std::ios::in | std::ios::out | std::ios::binary};
    const auto size = static_cast<std::streamoff>(fs::file_size(node.state() + "/lefting.db"));
    store.seekp(header ? 0 : 8 * 4096);
    const std::string garbage = random_bytes(4096, 5);
    for (std::streamoff at = store.tellp(); at + 4096 <= size; at += 4096) {
      store.write(garbage.data(), 4096);
      if (header) break;
    }
    store.close();
    for (const auto& call : {std::vector<std::string>{"files"}, {"--json"}}) {
      const Ended ended = dumpstate(node, call);
      CHECK(ended.code == 1);
      CHECK(ended.err.find("damaged") != std::string::npos);
    }
  }
}

TEST_CASE("dumpstate: one after another while the instance works, and no role notices") {
  Node node;
  node.start({});
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 50; ++i) {
      node.write("r" + std::to_string(round) + "/" + std::to_string(i), "x");
    }
    const Ended ended = dumpstate(node, kCalls[static_cast<std::size_t>(round) % kCalls.size()]);
    CHECK(ended.code == 0);
    CHECK(ended.err.empty());
  }
  CHECK(eventually([&] { return listed(node.dump()).size() == 1000; }));
  const auto dump = node.dump();
  for (const auto& role : dump["roles"].GetArray()) CHECK(number_of(role, "restarts") == 0);
}

TEST_CASE("dumpstate: tombstones are listed, and no path twice, running or not") {
  Node node;
  fill(node, 4);
  for (const char* path : {"folder/file-0", "folder/file-1"}) fs::remove(node.share(path));
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  node.write("folder/file-1", "again");
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  for (const bool running : {true, false}) {
    CAPTURE(running);
    if (!running) node.stop();
    const auto dump = node.dump();
    CHECK(listed(dump).size() == 4);
    for (const auto& file : dump["files"].GetArray()) {
      CHECK(file.HasMember("deleted") == (text_of(file, "path") == "folder/file-0"));
    }
    CHECK(dumpstate(node, {"files"}).out.find("deleted") != std::string::npos);
    CHECK(dumpstate(node, {}).out.find("3, 7 B; 1 deleted") != std::string::npos);
  }
}

TEST_CASE("dumpstate: more tickets than are read at once, each with its state and reason") {
  constexpr int kTickets = 4500;
  RawPeer source;
  std::string list = "[";
  for (int i = 0; i < kTickets; ++i) {
    list += (i == 0 ? "" : ",") + raw_entry("file-" + std::to_string(i), 10, 5);
  }
  list += "]";
  source.answer_with([&](const RawFrame& frame) -> std::optional<std::string> {
    const std::string operation = frame.json()["operation"].GetString();
    if (operation == "hello") return source.hello_reply(list);
    if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
    return raw_frame(R"({"reply":"get_file","status":"error","error":"internal","message":"no"})");
  });
  Node node{true};
  node.start({source.address()});
  const auto count = [&] { return node.dump()["tickets"].Size(); };
  REQUIRE(eventually([&] { return count() == kTickets; }));
  REQUIRE(eventually([&] {
    const std::string out = dumpstate(node, {"tickets"}).out;
    return out.find("says internal") != std::string::npos;
  }));
  const Ended all = dumpstate(node, {"tickets"});
  CHECK(std::ranges::count(all.out, '\n') == kTickets + 1);
  const Ended some = dumpstate(node, {"tickets", "--path", "file-1?"});
  CHECK(std::ranges::count(some.out, '\n') == 11);
  CHECK(dumpstate(node, {}).out.find("… and more") != std::string::npos);
  node.stop();
  CHECK(count() == kTickets);
  CHECK(dumpstate(node, {}).out.find("4500 queued, 0 active") != std::string::npos);
}
