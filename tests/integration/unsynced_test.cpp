#include <sys/stat.h>

#include <map>

#include "tests/integration/nodes.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

rapidjson::Document ask(Node& node, const std::string& section) {
  const Ended ended = run("dumpstate", {section, "--json", "--state", node.state()});
  REQUIRE(ended.code == 0);
  rapidjson::Document out;
  out.Parse(ended.out.c_str());
  REQUIRE(out.IsArray());
  return out;
}

std::string short_id_of(Node& node) { return node.id().substr(0, 4) + node.id().substr(5, 4); }

using Reasons = std::map<std::string, std::string>;

Reasons reasons(Node& node) {
  Reasons out;
  const auto list = ask(node, "unsynced");
  for (const auto& one : list.GetArray()) {
    CHECK(out.emplace(text_of(one, "path"), text_of(one, "reason")).second);
  }
  return out;
}

}  // namespace

TEST_CASE("unsynced: every path with its reason, on a live and on a stopped instance") {
  Node node;
  node.write("synced", "1");
  node.write("x.tmp", "1");
  node.write("cache/deep/x", "1");
  node.write(".leftingignore", "*.tmp\ncache/\n");
  node.write("half.lefting", "of nobody");
  fs::create_symlink("synced", node.share("link"));
  REQUIRE(::mkfifo(node.share("fifo").c_str(), 0600) == 0);
  node.start({});
  const Reasons expected = {{"x.tmp", "ignored"},
                            {"cache/", "ignored"},
                            {"half.lefting", "left_over"},
                            {"link", "special"},
                            {"fifo", "special"}};
  CHECK(eventually([&] { return reasons(node) == expected; }));
  node.stop();
  CHECK(reasons(node) == expected);

  node.write("new", "1");
  node.write("synced", "changed");
  Reasons changed = expected;
  changed["new"] = changed["synced"] = "changing";
  CHECK(reasons(node) == changed);
  fs::remove(node.share("new"));
  fs::remove(node.share("synced"));
  changed = expected;
  changed["synced"] = "changing";
  CHECK(reasons(node) == changed);

  fs::rename(fs::path{node.share()}.parent_path(), node.state() + "/elsewhere");
  const Ended away = run("dumpstate", {"unsynced", "--state", node.state()});
  CHECK(away.code == 1);
  CHECK(says(away.err, "is it mounted?"));
}

TEST_CASE("unsynced: of a wish, what it waits for") {
  Node a;
  Node b;
  start_pair(a, b);
  b.write("d/f", "a file");
  REQUIRE(eventually([&] { return a.exists("d/f"); }));
  b.stop();
  fs::create_directory(a.share("link"));
  a.write("link/f", "1");
  a.write("plain", "1");
  REQUIRE(eventually([&] { return reasons(a).empty(); }));
  fs::create_symlink("/nowhere", b.share("link"));
  b.start({a.spec()});
  REQUIRE(eventually([&] { return b.exists("plain"); }));
  CHECK(eventually([&] {
    const Reasons waiting = reasons(b);
    return waiting.contains("link/f") && waiting.at("link/f") == "in_the_way";
  }));
  fs::remove(b.share("link"));
  CHECK(eventually([&] { return b.exists("link/f") && reasons(b).empty(); }, Seconds{40}));
}

TEST_CASE("unsynced: deletions that are held") {
  Node node;
  for (int i = 0; i < 120; ++i) node.write("d/" + std::to_string(i), "x");
  node.start({});
  REQUIRE(eventually([&] { return reasons(node).empty(); }));
  fs::remove_all(node.share("d"));
  CHECK(eventually([&] {
    const Reasons held = reasons(node);
    return held.size() == 120 &&
           std::ranges::all_of(held, [](const auto& one) { return one.second == "held"; });
  }));
}

TEST_CASE("conflicts: the version that lost, of what, and whose") {
  Node a;
  Node b;
  a.write("d/report.txt", "of a");
  b.write("d/report.txt", "of b, longer");
  a.start({b.spec()}, {"--name", "anna"});
  b.start({a.spec()}, {"--name", "ben"});
  REQUIRE(eventually([&] { return a.tree().size() == 2 && a.tree() == b.tree(); }));
  for (Node* node : {&a, &b}) {
    const auto list = ask(*node, "conflicts");
    REQUIRE(list.Size() == 1);
    CHECK(text_of(list[0], "original") == "d/report.txt");
    const std::string copy = text_of(list[0], "path");
    CHECK(is_conflict(copy));
    CHECK(node->exists(copy));
    CHECK(text_of(list[0], "device") == short_id_of(node->read(copy) == "of a" ? a : b));
  }
  for (Node* node : {&a, &b}) {
    const Ended table = run("dumpstate", {"conflicts", "--state", node->state()});
    CHECK(says(table.out, "d/report.txt"));
    CHECK(says(table.out,
               text_of(ask(a, "conflicts")[0], "device") == short_id_of(a) ? " anna " : " ben "));
  }
  const Ended none = run("dumpstate", {"conflicts", "--path", "other", "--state", a.state()});
  CHECK(none.out == "no conflicts\n");
}
