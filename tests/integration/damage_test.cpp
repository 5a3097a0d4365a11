// Stores that are damaged, lost or foreign, and shares that are not there: what `start` says.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

TEST_CASE("damage: a damaged store is refused and kept, and its peers are taken over") {
  Nodes nodes{2};
  nodes[0].write("a", "1");
  nodes.start_all();
  nodes.settle();
  nodes[0].stop();
  run_sql(nodes[0], "DELETE FROM counter");
  const Ended refused = nodes[0].try_start({});
  CHECK(refused.code == 1);
  CHECK(says(refused.err, "supervisor start --rebuild"));
  CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
  CHECK(nodes[0].pids().empty());

  const Ended done = nodes[0].try_start({}, {"--rebuild"});
  CAPTURE(done.err);
  REQUIRE(done.code == 0);
  CHECK(says(done.out, "lefting.db.old-"));
  CHECK(says(done.out, "peers taken over: 1"));
  std::size_t kept = 0;
  for (const auto& item : fs::directory_iterator{nodes[0].state()}) {
    kept += item.path().filename().string().starts_with("lefting.db.old-2") ? 1 : 0;
  }
  CHECK(kept >= 1);
  nodes.settle();
  nodes[1].write("b", "2");
  CHECK(eventually([&] { return nodes[0].holds("b", "2"); }));

  const Ended running = nodes[0].try_start({}, {"--rebuild"});
  CHECK(running.code == 1);
  CHECK(says(running.err, "already running"));
}

TEST_CASE("damage: what is no store, or not ours, is refused in one line and stays as it was") {
  Node node;
  node.write("a", "1");
  node.start({});
  node.stop();
  const std::string sound = store_of(node) + ".sound";
  fs::copy_file(store_of(node), sound);
  const auto refuse = [&](const char* part) {
    CAPTURE(part);
    const Ended refused = node.try_start({});
    CAPTURE(refused.err);
    CHECK(refused.code == 1);
    CHECK(says(refused.err, part));
    CHECK(says(refused.err, "--rebuild"));
    CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
    CHECK(node.pids().empty());
    CHECK(node.holds("a", "1"));
  };
  const auto whole = fs::file_size(sound);
  for (const auto size : {std::uintmax_t{7}, whole / 2, whole - 4096}) {
    CAPTURE(size);
    fs::resize_file(store_of(node), size);
    refuse("damaged");
    CHECK(fs::file_size(store_of(node)) == size);
    remove_store(node);
    fs::copy_file(sound, store_of(node));
  }
  run_sql(node, "PRAGMA user_version=99");
  refuse("version 99");
  run_sql(node, "PRAGMA application_id=5");
  refuse("not a store of Lefting");
  remove_store(node);
  std::ofstream{store_of(node)} << std::string(9000, 'x');
  refuse("not a database");
  remove_store(node);
  fs::create_directory(store_of(node));
  refuse("not a file");
  node.start({}, {"--rebuild"});
  CHECK(eventually([&] { return node.dump()["files"].Size() == 1; }));
}

TEST_CASE("damage: a share that looks unmounted is not taken for one that was emptied") {
  Node a;
  Node b;
  a.write("precious", "1");
  a.start({b.spec()});
  b.start({a.spec()});
  REQUIRE(eventually([&] { return b.holds("precious", "1"); }));
  a.stop();
  const std::string aside = a.state() + ".aside";
  fs::rename(a.share(), aside);
  for (const bool lost : {false, true}) {
    CAPTURE(lost);
    const std::vector<std::string> how =
        lost ? std::vector<std::string>{} : std::vector<std::string>{"--rebuild"};
    if (lost) remove_store(a);
    const Ended missing = a.try_start({b.spec()}, how);
    CHECK(missing.code == 1);
    CHECK(says(missing.err, "mount it"));
    CHECK_FALSE(fs::exists(a.share()));
    fs::create_directory(a.share());
    const Ended empty = a.try_start({b.spec()}, how);
    CHECK(empty.code == 1);
    CHECK(says(empty.err, "mount it"));
    CHECK(fs::is_empty(a.share()));
    CHECK(fs::exists(store_of(a)) != lost);
    fs::remove(a.share());
  }
  // Its user says that it is to begin empty.
  fs::create_directory(a.share());
  std::ofstream{a.share(".share.lefting")} << "";
  a.start({b.spec()});
  CHECK(eventually([&] { return a.holds("precious", "1"); }));
  CHECK(b.holds("precious", "1"));
}

TEST_CASE("damage: a share of another index is refused, and --rebuild makes it this one's") {
  Node a;
  a.write("a", "1");
  a.start({});
  a.stop();
  std::ofstream{a.share(".share.lefting")} << "0123456789abcdef\n";
  const Ended refused = a.try_start({});
  CHECK(refused.code == 1);
  CHECK(says(refused.err, "another index"));
  CHECK(says(refused.err, "--rebuild"));
  a.start({}, {"--rebuild"});
  CHECK(eventually([&] { return a.dump()["files"].Size() == 1; }));
  CHECK(a.read(".share.lefting") == text_of(a.dump()["index"], "id") + "\n");
  a.stop();
  a.start({});
}

TEST_CASE("damage: damage that a role meets ends it for good, and status says why") {
  Node node;
  node.write("a", "1");
  node.start({});
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  node.stop();
  run_sql(node, "UPDATE file SET version=x'00'");
  const Ended started = node.try_start({});
  if (started.code == 0) {
    REQUIRE(eventually([&] {
      const Ended status = node.supervisor({"status"});
      return says(status.out, "failed") && says(status.out, "no sound version");
    }));
    CHECK(says(node.supervisor({"status"}).out, "--rebuild"));
    node.stop();
  } else {  // it met it before it was ready
    CHECK(says(started.err, "no sound version"));
  }
  node.start({}, {"--rebuild"});
  CHECK(eventually([&] { return node.dump()["files"].Size() == 1; }));
}
