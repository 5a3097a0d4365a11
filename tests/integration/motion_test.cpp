// Files that change while they are hashed, served, received or put in place; and names that go in
// circles.
#include <atomic>
#include <fstream>
#include <thread>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBytes = 6'000'000;

/// Of one byte all through: what is mixed from two of them shows.
std::string version(int number) {
  return std::string(kBytes, static_cast<char>('a' + number % 26));
}

/// Replaces a file by whole versions, as editors do, until it goes.
class Replacer {
 public:
  Replacer(Node& node, std::string path)
      : node_{node}, path_{std::move(path)}, thread_{[this] { work(); }} {}
  ~Replacer() { leave_ = true; }
  int versions() const { return versions_; }

 private:
  void work() {
    while (!leave_) {
      node_.write("../half-written", version(versions_));
      fs::rename(node_.share("../half-written"), node_.share(path_));
      ++versions_;
      lefting::poll_fds({}, 40);
    }
  }

  Node& node_;
  std::string path_;
  std::atomic<int> versions_{0};
  std::atomic<bool> leave_{false};
  std::jthread thread_;
};

bool is_mixed(const std::string& content) {
  return content.find_first_not_of(content.empty() ? 'a' : content[0]) != content.npos;
}

}  // namespace

TEST_CASE("motion: of a file that is replaced all the time no mixture ever arrives") {
  Node a;
  Node b;
  start_pair(a, b);
  {
    Replacer replacer{a, "f"};
    int seen = 0;
    REQUIRE(eventually(
        [&] {
          const std::string content = b.read("f");
          CHECK_FALSE(is_mixed(content));
          CHECK((content.empty() || content.size() == kBytes));
          seen += !content.empty();
          return replacer.versions() >= 60 && seen > 0;
        },
        Seconds{60}));
  }
  CHECK(eventually([&] { return a.tree() == b.tree() && b.exists("f"); }));
  CHECK(b.tree().size() == 1);
}

TEST_CASE("motion: a file that is written, cut and appended to in place arrives when it is quiet") {
  Node a;
  Node b;
  start_pair(a, b);
  for (int round = 0; round < 40; ++round) {
    std::ofstream out{a.share("f"), round % 4 == 3 ? std::ios::trunc : std::ios::app};
    out << version(round).substr(0, kBytes / 8) << std::flush;
    if (round % 5 == 0) fs::resize_file(a.share("f"), kBytes / 16);
    lefting::poll_fds({}, 15);
  }
  CHECK(eventually([&] { return b.exists("f") && a.tree() == b.tree(); }, Seconds{40}));
}

TEST_CASE("motion: changed on both sides all the time, both end the same and the last is kept") {
  Node a;
  Node b;
  start_pair(a, b);
  {
    Replacer here{a, "f"};
    Replacer there{b, "f"};
    REQUIRE(
        eventually([&] { return here.versions() >= 25 && there.versions() >= 25; }, Seconds{60}));
  }
  // What is written last is seen by nobody else before: so nobody can have meant to overwrite it.
  b.stop();
  const std::string last_here(kBytes, 'A');
  const std::string last_there(kBytes, 'B');
  a.write("f", last_here);
  b.write("f", last_there);
  b.start({a.spec()});
  REQUIRE(eventually(
      [&] {
        return a.tree() == b.tree() && a.dump()["tickets"].Empty() && b.dump()["tickets"].Empty();
      },
      Seconds{60}));
  const auto kept = contents(a.tree());
  CHECK(kept.contains(last_here));
  CHECK(kept.contains(last_there));
  for (const std::string& content : kept) CHECK_FALSE(is_mixed(content));
}

TEST_CASE("motion: chains and circles of names") {
  Node a;
  Node b;
  for (int i = 0; i < 5; ++i) a.write("f" + std::to_string(i), "content " + std::to_string(i));
  for (int i = 0; i < 3; ++i) a.write("d" + std::to_string(i) + "/f", "in d" + std::to_string(i));
  start_pair(a, b);
  REQUIRE(eventually([&] { return a.tree() == b.tree(); }));
  const auto move = [](Node& node, const std::string& from, const std::string& to) {
    fs::rename(node.share(from), node.share(to));
  };
  SUBCASE("a chain") {
    fs::remove(b.share("f4"));
    for (int i = 3; i >= 0; --i) move(b, "f" + std::to_string(i), "f" + std::to_string(i + 1));
  }
  SUBCASE("a circle") {
    move(b, "f0", "x");
    for (int i = 1; i < 5; ++i) move(b, "f" + std::to_string(i), "f" + std::to_string(i - 1));
    move(b, "x", "f4");
  }
  SUBCASE("a circle of folders") {
    move(b, "d0", "x");
    move(b, "d1", "d0");
    move(b, "d2", "d1");
    move(b, "x", "d2");
  }
  SUBCASE("a folder into itself, by way of another") {
    move(b, "d0", "x");
    fs::create_directory(b.share("d0"));
    move(b, "x", "d0/d0");
  }
  const auto expected = b.tree();
  CHECK(eventually([&] { return a.tree() == expected; }));
  CHECK(b.tree() == expected);
}

TEST_CASE("motion: a folder is removed while something comes into it") {
  Node a;
  Node b;
  a.write("d/first", "1");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.exists("d/first"); }));
  a.write("d/large", random_bytes(80'000'000, 3));
  REQUIRE(eventually([&] { return b.exists("d/large.lefting") || b.exists("d/large"); }));
  fs::remove_all(a.share("d"));
  CHECK(eventually([&] { return !b.exists("d") && b.dump()["tickets"].Empty(); }, Seconds{40}));
  CHECK_FALSE(a.exists("d"));
}
