// Two and three peers, plain and TLS: what is put into one share arrives in the others.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

struct stat stat_of(const std::string& path) {
  struct stat raw {};
  REQUIRE(::lstat(path.c_str(), &raw) == 0);
  return raw;
}

bool same_trees(const Node& a, const Node& b) { return a.tree() == b.tree(); }

}  // namespace

TEST_CASE("sync: files of both sides reach the other, TLS and plain") {
  for (const bool plain : {false, true}) {
    CAPTURE(plain);
    Node a{plain};
    Node b{plain};
    a.write("from a", "a");
    a.write("deep/er/and/deeper/file", std::string(100'000, 'x'));
    a.write("empty", "");
    b.write("from b", random_bytes(3'000'000, 1));
    start_pair(a, b);
    CHECK(eventually([&] { return a.tree().size() == 4 && same_trees(a, b); }));
    a.write("later", "1");
    CHECK(eventually([&] { return b.holds("later", "1"); }));
    b.write("later", "2, changed there");
    CHECK(eventually([&] { return a.holds("later", "2, changed there"); }));
    fs::remove(a.share("from b"));
    CHECK(eventually([&] { return !b.exists("from b"); }));
  }
}

TEST_CASE("sync: mtime to the nanosecond, mode, hidden files and any Linux name are kept") {
  Node a;
  Node b;
  const std::vector<std::string> names = {
      ".hidden", ".dir/.x", "new\nline", "back\\slash",         "\xff\xfe not utf-8",
      " ",       "quote\"", "*?[x]",     std::string(255, 'n'), "\xc3\xa9",
      "-rf",     "a:b"};
  for (const std::string& name : names) a.write(name, "content of " + name);
  REQUIRE(::chmod(a.share(".hidden").c_str(), 0751) == 0);
  REQUIRE(::chmod(a.share("*?[x]").c_str(), 0400) == 0);
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0},
                             {.tv_sec = 1'234'567'890, .tv_nsec = 123'456'789}};
  REQUIRE(::utimensat(AT_FDCWD, a.share(".hidden").c_str(), times, 0) == 0);
  start_pair(a, b);
  CHECK(eventually([&] { return b.tree().size() == names.size() && same_trees(a, b); }));
  for (const std::string& name : names) {
    CAPTURE(name);
    const struct stat here = stat_of(a.share(name));
    const struct stat there = stat_of(b.share(name));
    CHECK(here.st_mode == there.st_mode);
    CHECK(here.st_mtim.tv_sec == there.st_mtim.tv_sec);
    CHECK(here.st_mtim.tv_nsec == there.st_mtim.tv_nsec);
  }
  REQUIRE(::chmod(b.share(".hidden").c_str(), 0600) == 0);
  CHECK(eventually([&] { return (stat_of(a.share(".hidden")).st_mode & 0777) == 0600; }));
}

TEST_CASE("sync: a chain A-B-C passes changes on, both ways") {
  Node a;
  Node b;
  Node c;
  a.start({b.spec()});
  b.start({a.spec(), c.spec()});
  c.start({b.spec()});
  a.write("from a", "1");
  CHECK(eventually([&] { return c.holds("from a", "1"); }));
  c.write("from c", "2");
  CHECK(eventually([&] { return a.holds("from c", "2"); }));
  fs::remove(c.share("from a"));
  CHECK(eventually([&] { return !a.exists("from a"); }));
}

TEST_CASE("sync: five peers that all know each other end the same") {
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 5; ++i) nodes.push_back(std::make_unique<Node>());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i]->write("own/" + std::to_string(i), random_bytes(50'000 * (i + 1), 9));
    std::vector<std::string> peers;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (k != i) peers.push_back(nodes[k]->spec());
    }
    nodes[i]->start(peers);
  }
  for (const auto& node : nodes) {
    CHECK(eventually([&] { return node->tree().size() == 5 && same_trees(*node, *nodes[0]); }));
  }
}

TEST_CASE("sync: a folder that is moved in, renamed and removed") {
  Node a;
  Node b;
  start_pair(a, b);
  const TempFolder aside;
  fs::create_directories(aside / "album/2024");
  Node maker;
  for (int i = 0; i < 20; ++i)
    maker.write("album/2024/" + std::to_string(i), random_bytes(5000, 3));
  fs::rename(maker.share("album"), a.share("album"));
  CHECK(eventually([&] { return b.tree().size() == 20 && same_trees(a, b); }));
  fs::rename(a.share("album"), a.share("photos"));
  CHECK(eventually([&] { return b.tree().size() == 20 && same_trees(a, b); }));
  fs::remove_all(a.share("photos"));
  CHECK(eventually([&] { return b.tree().empty(); }));
  CHECK(eventually([&] { return !b.exists("photos"); }));
}

TEST_CASE("sync: a file that becomes a folder, and a folder that becomes a file") {
  Node a;
  Node b;
  a.write("x", "file");
  a.write("y/in", "folder");
  start_pair(a, b);
  CHECK(eventually([&] { return b.tree().size() == 2; }));
  fs::remove(a.share("x"));
  a.write("x/in", "now a folder");
  fs::remove_all(a.share("y"));
  a.write("y", "now a file");
  CHECK(eventually([&] { return b.holds("x/in", "now a folder") && b.holds("y", "now a file"); }));
}

TEST_CASE("sync: files and folders that change places again and again") {
  Node a{true};
  Node b{true};
  start_pair(a, b);
  for (int round = 0; round < 10; ++round) {
    CAPTURE(round);
    const std::string mark = std::to_string(round);
    fs::remove_all(a.share("x"));
    fs::remove_all(a.share("y"));
    a.write("x", "file " + mark);
    a.write("y/in", "folder " + mark);
    REQUIRE(eventually(
        [&] { return b.holds("x", "file " + mark) && b.holds("y/in", "folder " + mark); }));
    fs::remove_all(a.share("x"));
    fs::remove_all(a.share("y"));
    a.write("x/in", "folder " + mark);
    a.write("y", "file " + mark);
    REQUIRE(eventually(
        [&] { return b.holds("x/in", "folder " + mark) && b.holds("y", "file " + mark); }));
  }
  CHECK(eventually([&] { return b.dump()["tickets"].Empty() && same_trees(a, b); }));
}

TEST_CASE("sync: symlinks are skipped and counted, and never followed") {
  Node a;
  Node b;
  a.write("real", "x");
  a.write("folder/half.lefting", "of a folder that was moved");
  fs::create_symlink("/etc/hostname", a.share("link"));
  fs::create_directory_symlink("/etc", a.share("etc"));
  start_pair(a, b);
  CHECK(eventually([&] { return b.exists("real"); }));
  REQUIRE(a.supervisor({"rescan"}).code == 0);
  CHECK(b.tree().size() == 1);
  CHECK(fs::is_symlink(a.share("link")));
  const Ended status = a.supervisor({"status"});
  CHECK(status.out.find("2 symlinks, devices and the like; 0 ignored; 0 unreadable") !=
        std::string::npos);
  CHECK(status.out.find("1 partial files that no transfer owns") != std::string::npos);
  CHECK(a.supervisor({"logs", "scanner"}).out.find("folder/half.lefting") != std::string::npos);
}

TEST_CASE(
    "sync: of a file and a folder of one name, made apart, the folder stays and both are kept") {
  Node a;
  Node b;
  a.write("d", "a file");
  b.write("d/x", "in a folder");
  start_pair(a, b);
  REQUIRE(eventually([&] { return a.holds("d/x", "in a folder"); }, Seconds{30}));
  CHECK(eventually([&] { return same_trees(a, b) && b.tree().size() == 2; }, Seconds{30}));
  CHECK(contents(b.tree()) == std::set<std::string>{"a file", "in a folder"});
}

TEST_CASE("sync: a copy of a conflict's loser is one file for all, and removed once it stays so") {
  Node a;
  Node b;
  a.write("f", "one");
  b.write("f", "other");
  start_pair(a, b);
  REQUIRE(eventually([&] { return same_trees(a, b) && a.tree().size() == 2; }));
  const auto both = a.dump();
  for (const auto& file : both["files"].GetArray()) {
    if (is_conflict(text_of(file, "path"))) CHECK(file["version"].MemberCount() == 1);
  }
  for (const auto& [path, content] : a.tree()) {
    if (is_conflict(path)) fs::remove(a.share(path));
  }
  CHECK(eventually([&] { return same_trees(a, b) && b.tree().size() == 1; }));
}

TEST_CASE("sync: changed on both sides while apart, the greater stamp wins and the other is kept") {
  Node a;
  Node b;
  start_pair(a, b);
  a.write("doc.txt", "common");
  REQUIRE(eventually([&] { return b.holds("doc.txt", "common"); }));
  b.stop();
  a.write("doc.txt", "edited by a");
  REQUIRE(a.supervisor({"rescan"}).code == 0);
  b.write("doc.txt", "edited by b, later");
  b.start({a.spec()});
  CHECK(eventually([&] { return a.tree().size() == 2 && same_trees(a, b); }));
  const auto tree = a.tree();
  REQUIRE(tree.size() == 2);
  CHECK(tree[0].first.starts_with("doc.conflict-"));
  CHECK(tree[0].second == "edited by a");
  CHECK(tree[1].second == "edited by b, later");
}

TEST_CASE("sync: removed on one side and edited later on the other while apart, the edit stays") {
  Node a;
  Node b;
  start_pair(a, b);
  a.write("doc", "common");
  REQUIRE(eventually([&] { return b.holds("doc", "common"); }));
  b.stop();
  fs::remove(a.share("doc"));
  REQUIRE(a.supervisor({"rescan"}).code == 0);
  b.write("doc", "still needed");
  b.start({a.spec()});
  CHECK(
      eventually([&] { return a.holds("doc", "still needed") && b.holds("doc", "still needed"); }));
}

TEST_CASE("sync: the same tree on both sides is not sent") {
  Node a;
  Node b;
  const std::string content = random_bytes(2'000'000, 5);
  for (Node* node : {&a, &b}) {
    node->write("same", content);
    const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 5}, {.tv_sec = 6, .tv_nsec = 7}};
    REQUIRE(::utimensat(AT_FDCWD, node->share("same").c_str(), times, 0) == 0);
  }
  start_pair(a, b);
  a.write("canary", "x");
  REQUIRE(eventually([&] { return b.exists("canary"); }));
  CHECK(eventually([&] {
    const auto dump_a = a.dump();
    const auto dump_b = b.dump();
    return dump_a["tickets"].Empty() && dump_b["tickets"].Empty() && dump_a["files"].Size() == 2 &&
           dump_b["files"].Size() == 2;
  }));
  CHECK(same_trees(a, b));
  CHECK(a.tree().size() == 2);
}
