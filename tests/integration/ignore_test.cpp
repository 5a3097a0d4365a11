#include "common/share/ignore.h"

#include <cstdio>
#include <fstream>
#include <random>

#include "tests/integration/nodes.h"

using namespace lefting;
using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

bool knows(Node& node, const std::string& path) {
  const auto dump = node.dump();
  for (const auto& file : dump["files"].GetArray()) {
    if (text_of(file, "path") == path && !file.HasMember("deleted")) return true;
  }
  return false;
}

std::uint64_t ignored_at(Node& node) {
  const Ended ended = run("dumpstate", {"summary", "--json", "--state", node.state()});
  rapidjson::Document summary;
  summary.Parse(ended.out.c_str());
  REQUIRE(summary.IsObject());
  return number_of(summary["counts"], "ignored");
}

/// Files and folders with names that patterns trip over, three deep.
class Names {
 public:
  explicit Names(const fs::path& root) : root_{root} { fill("", 0); }
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  void fill(const std::string& folder, int depth) {
    for (const char* name : {"a", "b", "ab", "a.b", "[a]", "#a", "!a", "a ", "*", "\\a", ".a"}) {
      paths_.push_back(folder + name);
      std::ofstream{root_ / (folder + name)};
    }
    if (depth == 3) return;
    for (const char* name : {"d", "d.b", "-"}) {
      const std::string path = folder + name;
      fs::create_directory(root_ / path);
      paths_.push_back(path);
      fill(path + "/", depth + 1);
    }
  }

  fs::path root_;
  std::vector<std::string> paths_;
};

std::string random_rules(std::mt19937& random) {
  static constexpr const char* kPieces[] = {
      "a",  "b",     "d",   "*",   "**",   "?",  "/",     "/",  "[ab]",  "[!a]", ".",
      "\\", "[a-d]", "[",   "**/", "/**/", " ",  "[^a]]", "!a", "[]a]",  "#",    "[[:alpha:]",
      ".b", "d/",    "***", "\\*", "-",    "ab", "[\\a]", "\t", "[-.[]", "]"};
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>{0, limit - 1}(random);
  };
  std::string rules;
  for (std::size_t lines = 1 + below(5); lines > 0; --lines) {
    if (below(4) == 0) rules += "!";
    for (std::size_t pieces = 1 + below(5); pieces > 0; --pieces) {
      rules += kPieces[below(std::size(kPieces))];
    }
    rules += below(8) == 0 ? "\r\n" : "\n";
  }
  return rules;
}

/// The paths that git ignores by `rules`, NUL after each.
std::string ignored_by_git(const fs::path& root, const std::string& rules) {
  std::ofstream{root / ".gitignore", std::ios::binary} << rules;
  const std::string command =
      "cd " + root.string() +
      " && GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_DIR=../git GIT_WORK_TREE=. "
      "git check-ignore --no-index --stdin -z < ../paths";
  std::FILE* const out = ::popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  std::string text;
  char piece[4096];
  for (std::size_t n; (n = std::fread(piece, 1, sizeof piece, out)) > 0;) text.append(piece, n);
  const int status = ::pclose(out);
  REQUIRE((WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1));  // 1: none
  return text;
}

}  // namespace

TEST_CASE("ignore: rules mean what they mean to git") {
  const TempFolder folder;
  const fs::path root = folder / "tree";
  fs::create_directory(root);
  REQUIRE(std::system(("git init -q --bare " + (folder / "git")).c_str()) == 0);
  const Names names{root};
  {
    std::ofstream list{folder / "paths", std::ios::binary};
    for (const std::string& path : names.paths()) list << path << '\0';
  }
  std::mt19937 random{7};
  for (int i = 0; i < 300; ++i) {
    const std::string rules = random_rules(random);
    CAPTURE(rules);
    const std::string expected = ignored_by_git(root, rules);
    const share::IgnoreRules ours{rules};
    std::string ignored;
    for (const std::string& path : names.paths()) {
      if (ours.covers(path, fs::is_directory(root / path))) ignored += path + '\0';
    }
    CHECK(ignored == expected);
  }
}

TEST_CASE("ignore: what is ignored is neither sent, received nor deleted; the rules are synced") {
  Node a;
  Node b;
  a.write(".leftingignore", "*.tmp\n/cache/\n");
  a.write("kept", "1");
  a.write("x.tmp", "of a");
  a.write("cache/deep/file", "of a");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.exists("kept") && b.exists(".leftingignore"); }));
  CHECK(b.tree().size() == 2);
  CHECK(ignored_at(a) == 2);

  // Rules that came from a peer hold too.
  b.write("d/y.tmp", "of b");
  b.write("d/z", "of b");
  REQUIRE(eventually([&] { return b.supervisor({"rescan"}).code == 0 && ignored_at(b) == 1; }));
  CHECK(eventually([&] { return a.exists("d/z") && !knows(b, "d/y.tmp"); }));
  CHECK_FALSE(a.exists("d/y.tmp"));

  // A folder that goes at the peer stays where something ignored is in it.
  a.write("e/file", "2");
  REQUIRE(eventually([&] { return b.exists("e/file"); }));
  b.write("e/file.tmp", "of b");
  fs::remove_all(a.share("e"));
  CHECK(eventually([&] { return !b.exists("e/file"); }));
  CHECK(b.holds("e/file.tmp", "of b"));
  CHECK(a.holds("x.tmp", "of a"));
}

TEST_CASE("ignore: new rules forget what they exclude, and fetch what they exclude no more") {
  Node a;
  Node b;
  a.write("f.log", "first");
  a.write("g.log", "first");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.exists("f.log") && b.exists("g.log"); }));

  b.write(".leftingignore", "*.log\n");
  REQUIRE(eventually([&] { return !knows(b, "f.log") && !knows(a, "f.log"); }));
  CHECK(a.holds("f.log", "first"));
  CHECK(b.holds("f.log", "first"));
  fs::remove(a.share("f.log"));
  b.write("g.log", "changed at b while ignored");
  a.write("end", "1");
  REQUIRE(eventually([&] { return b.exists("end"); }));
  CHECK(b.exists("f.log"));
  CHECK(a.holds("g.log", "first"));

  // The rules go: what is different now is a conflict, what only one has is everybody's again.
  fs::remove(a.share(".leftingignore"));
  REQUIRE(eventually([&] { return a.holds("f.log", "first") && !b.exists(".leftingignore"); }));
  CHECK(eventually([&] {
    const auto all = contents(a.tree());
    return a.tree() == b.tree() && all.contains("first") &&
           all.contains("changed at b while ignored");
  }));
}

TEST_CASE("ignore: an older file that was put there while it was ignored is kept") {
  Node a;
  Node b;
  a.write("f", "first");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.exists("f"); }));
  a.write(".leftingignore", "f\n");
  REQUIRE(eventually([&] { return !knows(b, "f") && !knows(a, "f"); }));
  a.write("f", "of a");
  const auto old = fs::last_write_time(b.share("f")) - std::chrono::hours{1};
  fs::last_write_time(a.share("f"), old);
  // The same size and time with other content must not be taken for the same.
  b.write("f", "of b");
  fs::last_write_time(b.share("f"), old);
  fs::remove(a.share(".leftingignore"));
  CHECK(eventually([&] {
    const auto all = contents(a.tree());
    return a.tree() == b.tree() && all.contains("of a") && all.contains("of b");
  }));
}

TEST_CASE("ignore: rules that are saved again and again hold soon after the last time") {
  Node a;
  a.write("f", "1");
  a.start({});
  REQUIRE(eventually([&] { return knows(a, "f"); }));
  // The scanner looks a second after the first time: too early.
  const Deadline last = deadline_in(milliseconds{1500});
  REQUIRE(eventually([&] {
    a.write(".leftingignore", "f\n");
    return poll_timeout(last) == 0;
  }));
  CHECK(eventually([&] { return !knows(a, "f"); }));
}

TEST_CASE("ignore: rules that can't be read stop the scanner, and nothing is lost or told") {
  Node a;
  Node b;
  a.write("f", "1");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.exists("f"); }));
  fs::create_directory(a.share(".leftingignore"));
  REQUIRE(eventually([&] {
    return says(a.supervisor({"logs", "scanner"}).out, "nothing is synced before it can be read");
  }));
  fs::remove(a.share("f"));
  b.write("other", "2");
  REQUIRE(eventually([&] { return knows(a, "other") || !a.dump()["tickets"].Empty(); }));
  CHECK(b.exists("f"));
  fs::remove(a.share(".leftingignore"));
  CHECK(eventually([&] { return !b.exists("f") && a.holds("other", "2"); }, Seconds{40}));
}
