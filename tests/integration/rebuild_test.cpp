// Indexes that are made anew: what peers make of them, whatever users changed meanwhile.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

void write_dated(Node& node, const std::string& path, const std::string& content, long seconds) {
  node.write(path, content);
  const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 0}};
  REQUIRE(::utimensat(AT_FDCWD, node.share(path).c_str(), times, 0) == 0);
}

const std::vector<std::string> kFiles = {
    "same",      "here",      "here old",         "there",
    "both",      "both same", "gone here",        "gone there",
    "gone both", "d/deep",    "here, gone there", "gone here, there"};

void write_files(Node& node) {
  for (const std::string& path : kFiles) node.write(path, path + ": first");
}

std::uint64_t tombstones(Node& node) {
  const Ended ended = run("dumpstate", {"summary", "--json", "--state", node.state()});
  rapidjson::Document summary;
  summary.Parse(ended.out.c_str());
  return number_of(summary["counts"], "deleted");
}

/// Tombstones go at the end of a traversal, once the peers have said that they have them; what they
/// said is stored when a scanner leaves, or every minute.
void await_traces(Nodes& nodes) {
  REQUIRE(eventually([&] {
    for (const std::size_t i : {0u, 1u}) {
      REQUIRE(nodes[i].supervisor({"restart", "scanner"}).code == 0);
      REQUIRE(nodes[i].supervisor({"rescan"}).code == 0);
    }
    return tombstones(nodes[0]) + tombstones(nodes[1]) == 0;
  }));
}

/// A stopped node's share and state, as they were.
class Snapshot {
 public:
  explicit Snapshot(Node& node) : node_{node} {
    copy(node.share(), folder_ / "share");
    copy(node.state(), folder_ / "state");
  }
  void put_back() const {
    fs::remove_all(node_.share());
    fs::remove_all(node_.state());
    copy(folder_ / "share", node_.share());
    copy(folder_ / "state", node_.state());
  }

 private:
  static void copy(const std::string& from, const std::string& to) {
    REQUIRE(std::system(("cp -a '" + from + "' '" + to + "'").c_str()) == 0);
  }
  Node& node_;
  TempFolder folder_;
};

constexpr long kLongAgo = 1'000'000'000;  // 2001

/// What users do while `a` has lost its index and doesn't run; `b` may run.
void change_files(Node& a, Node& b) {
  a.write("here", "changed here");
  write_dated(a, "here old", "changed here, with an old date", kLongAgo);
  b.write("there", "changed there");
  write_dated(a, "both", "one of both", kLongAgo);
  b.write("both", "the other of both");
  a.write("both same", "both alike");
  b.write("both same", "both alike");
  for (const char* path : {"gone here", "gone both", "gone here, there"}) fs::remove(a.share(path));
  for (const char* path : {"gone there", "gone both", "here, gone there"})
    fs::remove(b.share(path));
  write_dated(a, "here, gone there", "removed there, changed here", kLongAgo);
  b.write("gone here, there", "removed here, changed there");
  a.write("new here", "new and here");
  b.write("new there", "new and there");
  write_dated(a, "new on both", "new on both, here", kLongAgo);
  b.write("new on both", "new on both, there");
}

void check_names(Node& a) {
  CHECK(a.read("same") == "same: first");
  CHECK(a.read("d/deep") == "d/deep: first");
  CHECK(a.read("here") == "changed here");
  CHECK(a.read("here old") == "here old: first");
  CHECK(a.read("there") == "changed there");
  CHECK(a.read("both") == "the other of both");
  CHECK(a.read("both same") == "both alike");
  CHECK(a.read("gone here") == "gone here: first");
  CHECK_FALSE(a.exists("gone there"));  // removed by a user; what was here has another name
  CHECK_FALSE(a.exists("gone both"));
  CHECK_FALSE(a.exists("here, gone there"));
  CHECK(a.read("gone here, there") == "removed here, changed there");
  CHECK(a.read("new here") == "new and here");
  CHECK(a.read("new there") == "new and there");
  CHECK(a.read("new on both") == "new on both, there");
}

/// What no user has removed has its name, whoever won it.
void check_none_is_deleted(Node& a) {
  for (const char* path : {"same", "d/deep", "here", "here old", "there", "both", "both same",
                           "gone here, there", "new here", "new there", "new on both"}) {
    CAPTURE(path);
    CHECK(a.exists(path));
  }
}

/// Afterwards all is as ever: edits and deletions go both ways, as they do without a past.
void check_it_works(Nodes& nodes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    nodes[i].write("same", "edited at last by " + std::to_string(i));
    nodes.settle();
    CHECK(nodes[0].read("same") == "edited at last by " + std::to_string(i));
  }
  fs::remove(nodes[0].share("d/deep"));
  fs::remove(nodes[1].share("gone here"));
  REQUIRE(eventually([&] { return !nodes[1].exists("d/deep") && !nodes[0].exists("gone here"); }));
  nodes.settle();
  const std::size_t conflicts = nodes.conflicts();
  nodes.settle();
  CHECK(nodes.conflicts() == conflicts);
}

}  // namespace

TEST_CASE(
    "rebuild: an index that is lost or given up takes no ignorance for a change, on 2 peers") {
  for (const std::string damage : {"garbled", "removed", "emptied", "given up"}) {
    CAPTURE(damage);
    Nodes nodes{2, damage != "garbled"};  // that one over TLS
    write_files(nodes[0]);
    nodes.start_all();
    nodes.settle();
    nodes[0].stop();
    std::vector<std::string> how = {"--rebuild"};
    if (damage == "garbled") {
      garble_store(nodes[0]);
    } else if (damage == "removed") {
      remove_store(nodes[0]);
      how.clear();
    } else if (damage == "emptied") {
      fs::resize_file(store_of(nodes[0]), 0);
      how.clear();
    }
    change_files(nodes[0], nodes[1]);
    REQUIRE(nodes[1].supervisor({"rescan"}).code == 0);
    nodes.remember();
    nodes.start(0, how);
    nodes.settle();
    nodes.check_nothing_is_lost();
    check_none_is_deleted(nodes[0]);
    check_names(nodes[0]);
    // here, here old, there, both, new on both; and what was removed there, changed here or not
    CHECK(nodes.conflicts() == 7);
    check_it_works(nodes, 2);
  }
}

TEST_CASE("rebuild: three peers, one or two of which make their index anew") {
  for (const std::size_t rebuilt : {1u, 2u}) {
    CAPTURE(rebuilt);
    Nodes nodes{3};
    write_files(nodes[1]);
    nodes.start_all();
    nodes.settle();
    for (std::size_t i = 0; i < rebuilt; ++i) nodes[i].stop();
    change_files(nodes[0], nodes[2]);
    REQUIRE(nodes[2].supervisor({"rescan"}).code == 0);
    // What was edited on purpose may be gone before the others come back.
    if (rebuilt == 1) REQUIRE(eventually([&] { return nodes[1].tree() == nodes[2].tree(); }));
    nodes.remember();
    for (std::size_t i = 0; i < rebuilt; ++i) nodes.start(i, {"--rebuild"});
    nodes.settle();
    nodes.check_nothing_is_lost();
    check_none_is_deleted(nodes[0]);
    check_it_works(nodes, 3);
  }
}

TEST_CASE("rebuild: both peers make their index anew, and again, and one of them a third time") {
  Nodes nodes{2};
  write_files(nodes[0]);
  nodes.start_all();
  nodes.settle();
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    nodes[0].stop();
    nodes[1].stop();
    if (round == 0) change_files(nodes[0], nodes[1]);
    if (round == 1) nodes[1].write("there", "changed before the second time");
    nodes.remember();
    nodes.start(0, {"--rebuild"});
    nodes.start(1, {"--rebuild"});
    nodes.settle();
    nodes.check_nothing_is_lost();
    check_none_is_deleted(nodes[0]);
  }
  const Tree tree = nodes[0].tree();
  nodes[0].stop();
  nodes.start(0, {"--rebuild"});
  nodes.settle();
  CHECK(nodes[0].tree() == tree);  // what is the same everywhere stays so
  check_it_works(nodes, 2);
}

TEST_CASE("rebuild: killed while it adopts the share, it goes on adopting") {
  Nodes nodes{2};
  for (int i = 0; i < 300; ++i) nodes[0].write("f" + std::to_string(i), "first");
  nodes.start_all();
  nodes.settle();
  nodes[0].stop();
  for (int i = 0; i < 300; i += 3) nodes[1].write("f" + std::to_string(i), "changed there");
  REQUIRE(nodes[1].supervisor({"rescan"}).code == 0);
  nodes.start(0, {"--rebuild"});
  for (int i = 0; i < 5; ++i) {
    nodes[0].kill_all();
    nodes.start(0);
  }
  nodes.settle();
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    CHECK(nodes[0].read("f" + std::to_string(i)) == (i % 3 == 0 ? "changed there" : "first"));
  }
}

TEST_CASE("rebuild: a machine that goes back to a snapshot has soon what the others have") {
  Nodes nodes{2};
  nodes[0].write("gone", "first");
  nodes[0].write("lives", "1");
  nodes.start_all();
  nodes.settle();
  nodes[1].stop();
  const Snapshot snapshot{nodes[1]};
  nodes.start(1);
  fs::remove(nodes[0].share("gone"));
  nodes[0].write("of the other", "2");
  nodes[1].write("own", "3");
  nodes.settle();
  REQUIRE_FALSE(nodes[1].exists("gone"));
  await_traces(nodes);

  nodes[1].stop();
  snapshot.put_back();
  REQUIRE(nodes[1].exists("gone"));
  SUBCASE("as it was") {}
  SUBCASE("and it has changed more since than it has forgotten") {
    nodes[0].stop();
    nodes.start(1);
    for (int i = 0; i < 20; ++i) nodes[1].write("more" + std::to_string(i), "4");
    REQUIRE(nodes[1].supervisor({"rescan"}).code == 0);
    nodes[1].stop();
    nodes.start(0);
  }
  nodes[1].write("new", "5");
  nodes.start(1);
  nodes.settle();
  CHECK_FALSE(nodes[0].exists("gone"));
  CHECK(nodes.conflicts() == 0);
  for (const char* path : {"lives", "of the other", "own", "new"}) {
    CAPTURE(path);
    CHECK(nodes[0].exists(path));
    CHECK(nodes[1].exists(path));
  }
}

TEST_CASE("rebuild: from a backup, what all had forgotten to be removed is kept beside its name") {
  Nodes nodes{2};
  write_dated(nodes[0], "gone", "first", kLongAgo);
  nodes[0].write("lives", "1");
  nodes.start_all();
  nodes.settle();
  fs::remove(nodes[1].share("gone"));
  REQUIRE(eventually([&] { return !nodes[0].exists("gone"); }));
  nodes.settle();
  await_traces(nodes);

  nodes[1].stop();
  remove_store(nodes[1]);
  write_dated(nodes[1], "gone", "first", kLongAgo);
  nodes.start(1);
  nodes.settle();
  CHECK_FALSE(nodes[0].exists("gone"));
  CHECK(nodes.conflicts() == 1);
  CHECK(contents(nodes[0].tree()) == std::set<std::string>{"1", "first"});
}
