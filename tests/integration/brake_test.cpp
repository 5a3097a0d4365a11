// The deletion of a large part of a share at once is told to nobody until it is approved.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

constexpr int kFiles = 150;

/// Two in sync, and then the first loses nearly all.
void lose_much(Node& a, Node& b) {
  for (int i = 0; i < kFiles; ++i) a.write("d/" + std::to_string(i), std::to_string(i));
  a.write("other", "stays");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  // At once, however slow the disk is: the first few of many would go alone.
  const TempFolder away;
  fs::rename(a.share("d"), away / "d");
  REQUIRE(eventually([&] {
    return a.supervisor({"status"}).out.find("150 deletions at once") != std::string::npos;
  }));
}

}  // namespace

TEST_CASE("brake: approved, the deletions reach the peers; all else goes on meanwhile") {
  Node a;
  Node b;
  lose_much(a, b);
  a.write("new", "1");
  fs::remove(a.share("other"));
  REQUIRE(eventually([&] { return b.holds("new", "1"); }));
  REQUIRE(a.supervisor({"rescan"}).code == 0);
  CHECK(b.tree().size() == kFiles + 2);
  REQUIRE(a.supervisor({"deletes", "approve"}).code == 0);
  CHECK(eventually([&] { return b.tree() == a.tree(); }));
  CHECK(a.tree().size() == 1);
  const Ended again = a.supervisor({"deletes", "approve"});
  CHECK(again.code == 1);
  CHECK(again.err.find("nothing is held") != std::string::npos);
}

TEST_CASE("brake: given up, the files are fetched from the peers again, also after a restart") {
  Node a;
  Node b;
  lose_much(a, b);
  a.stop();
  a.start({b.spec()});
  REQUIRE(eventually([&] {
    return a.supervisor({"status"}).out.find("150 deletions at once") != std::string::npos;
  }));
  REQUIRE(a.supervisor({"deletes", "restore"}).code == 0);
  CHECK(eventually([&] { return a.tree() == b.tree(); }));
  CHECK(a.tree().size() == kFiles + 1);
}

TEST_CASE("brake: what comes back by itself is held no more") {
  Node a;
  Node b;
  for (int i = 0; i < kFiles; ++i) a.write("d/" + std::to_string(i), std::to_string(i));
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  const auto is_held = [&] {
    return a.supervisor({"status"}).out.find("deletions at once") != std::string::npos;
  };
  fs::rename(a.share("d"), a.share("../elsewhere"));
  REQUIRE(eventually(is_held));
  fs::rename(a.share("../elsewhere"), a.share("d"));
  CHECK(eventually([&] { return !is_held(); }));
  CHECK(a.supervisor({"deletes", "approve"}).code == 1);
  CHECK(b.tree() == a.tree());
}

TEST_CASE("brake: switched off nothing is held") {
  Node a;
  Node b;
  for (int i = 0; i < kFiles; ++i) a.write("d/" + std::to_string(i), "x");
  a.start({b.spec()}, {"--no-brake"});
  b.start({a.spec()});
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  fs::remove_all(a.share("d"));
  CHECK(eventually([&] { return b.tree().empty(); }));
}
