// What a peer's change overwrites or removes is kept for a while, and comes back when asked for.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

rapidjson::Document trash_of(Node& node) {
  rapidjson::Document document;
  document.Parse(node.supervisor({"trash", "list", "--json"}).out.c_str());
  REQUIRE(document.IsArray());
  return document;
}

}  // namespace

TEST_CASE("trash: what a peer overwrote or removed is listed, and restored on both sides") {
  Node a;
  Node b;
  a.write("d/one", "old");
  a.write("d/two", "gone soon");
  start_pair(a, b);
  REQUIRE(eventually([&] { return b.holds("d/one", "old") && b.exists("d/two"); }));
  CHECK(trash_of(b).Empty());
  a.write("d/one", "new");
  fs::remove(a.share("d/two"));
  REQUIRE(eventually([&] { return b.holds("d/one", "new") && !b.exists("d/two"); }));
  CHECK(trash_of(b).Size() == 2);
  CHECK(trash_of(a).Empty());  // what a user does himself is not kept
  CHECK(b.supervisor({"trash", "list"}).out.find("d/two") != std::string::npos);

  // Of a folder what is missing comes back.
  REQUIRE(b.supervisor({"restore", "d"}).code == 0);
  CHECK(eventually([&] { return a.holds("d/two", "gone soon"); }));
  CHECK(b.holds("d/one", "new"));
  // A file that is named takes the place of what stands there.
  REQUIRE(b.supervisor({"restore", "d/one"}).code == 0);
  CHECK(eventually([&] { return a.holds("d/one", "old"); }));
  CHECK(trash_of(a).Size() == 1);

  const Ended none = b.supervisor({"restore", "d/three"});
  CHECK(none.code == 1);
  CHECK(none.err.find("trash list") != std::string::npos);
  CHECK(b.supervisor({"restore", "d/one", "--at", "1999"}).code == 1);
  CHECK(b.supervisor({"trash", "empty"}).code == 0);
  CHECK(trash_of(b).Empty());
  CHECK_FALSE(b.exists(".lefting-trash"));
}

TEST_CASE("trash: switched off nothing is kept, and it is never synced") {
  Node a;
  Node b;
  a.write("file", "1");
  a.write(".lefting-trash/20200101-000000/mine", "as if from before");
  a.start({b.spec()});
  b.start({a.spec()}, {"--no-trash"});
  REQUIRE(eventually([&] { return b.exists("file"); }));
  fs::remove(a.share("file"));
  REQUIRE(eventually([&] { return !b.exists("file"); }));
  CHECK_FALSE(b.exists(".lefting-trash"));
}
