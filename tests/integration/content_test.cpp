// Content that is here already is not fetched.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/share/share.h"
#include "common/store/store.h"
#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

std::uint64_t received(Node& node) {
  const Ended ended = run("dumpstate", {"summary", "--json", "--state", node.state()});
  rapidjson::Document summary;
  summary.Parse(ended.out.c_str());
  return number_of(summary["counts"], "received_bytes");
}

std::uint64_t inode(const std::string& path) {
  struct stat raw = {};
  return ::stat(path.c_str(), &raw) == 0 ? raw.st_ino : 0;
}

constexpr std::size_t kBytes = 3u << 20;

struct Pair {
  Node a;
  Node b;
  std::string big = random_bytes(kBytes, 1);

  Pair() {
    a.write("big", big);
    start_pair(a, b);
    REQUIRE(eventually([&] { return b.holds("big", big); }));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Pair, "content: a renamed file is renamed") {
  a.write("d/f", "1");
  REQUIRE(eventually([&] { return b.exists("d/f"); }));
  const std::uint64_t before = received(b);
  const std::uint64_t file = inode(b.share("big"));
  fs::rename(a.share("big"), a.share("d/other"));
  REQUIRE(eventually([&] { return b.holds("d/other", big) && !b.exists("big"); }));
  CHECK(received(b) == before);
  CHECK(inode(b.share("d/other")) == file);
}

TEST_CASE_FIXTURE(Pair, "content: a copy is copied, and a file that is moved offline too") {
  const std::uint64_t before = received(b);
  a.write("copy", big);
  const std::string small = random_bytes(70'000, 2);
  a.write("small", small);
  REQUIRE(eventually([&] { return b.holds("copy", big) && b.holds("small", small); }));
  CHECK(received(b) == before + small.size());
  a.stop();
  fs::rename(a.share("big"), a.share("moved"));
  fs::rename(a.share("small"), a.share("small moved"));
  a.start({b.spec()});
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  CHECK(received(b) == before + small.size());
}

TEST_CASE_FIXTURE(Pair, "content: what is here only by its record, and is another, is fetched") {
  // The same size, mtime and inode: nothing shows that it was changed, and no event tells.
  b.stop();
  {
    const auto mtime = fs::last_write_time(b.share("big"));
    std::string other = big;
    other[kBytes / 2] = static_cast<char>(~other[kBytes / 2]);
    std::ofstream{b.share("big"), std::ios::binary | std::ios::in} << other;
    fs::last_write_time(b.share("big"), mtime);
  }
  {
    lefting::store::Store store{b.state() + "/lefting.db"};
    auto record = *store.find("big");
    const auto stat = lefting::share::Share::open(b.share("")).value().stat("big");
    record.ctime_ns = stat.value()->ctime_ns;
    lefting::store::Transaction transaction{store};
    REQUIRE(transaction.put_record(record, record.sequence));
    transaction.commit();
  }
  b.start({a.spec()});
  a.write("copy", big);
  CHECK(eventually([&] { return b.holds("copy", big); }));
}

TEST_CASE_FIXTURE(Pair, "content: of a renamed folder each file is renamed") {
  for (int i = 0; i < 20; ++i) a.write("d/" + std::to_string(i), "content " + std::to_string(i));
  REQUIRE(eventually([&] { return b.exists("d/19"); }));
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  const std::uint64_t before = received(b);
  fs::rename(a.share("d"), a.share("e"));
  REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  CHECK(received(b) == before);
}
