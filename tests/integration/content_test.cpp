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

std::uint64_t inode(const std::string& path) {
  struct stat raw = {};
  return ::stat(path.c_str(), &raw) == 0 ? raw.st_ino : 0;
}

/// Changes a stopped node's file so that nothing shows it: size, mtime, ctime and inode are as
/// recorded.
void forge(Node& node, const std::string& path, const std::string& content) {
  const auto mtime = fs::last_write_time(node.share(path));
  { std::ofstream{node.share(path), std::ios::binary | std::ios::in} << content; }
  fs::last_write_time(node.share(path), mtime);
  lefting::store::Store store{node.state() + "/lefting.db"};
  auto record = *store.find(path);
  record.ctime_ns = lefting::share::Share::open(node.share()).value().stat(path).value()->ctime_ns;
  lefting::store::Transaction transaction{store};
  REQUIRE(transaction.put_record(record, record.sequence));
  transaction.commit();
}

bool has_sketch(const Node& node, const std::string& path) {
  lefting::store::Store store{store_of(node), lefting::store::Access::read};
  const auto record = store.find(path);
  return record && record->entry.hash && store.has_sketch(*record->entry.hash);
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

TEST_CASE_FIXTURE(Pair, "content: what was moved out of the share and comes back is in the trash") {
  const std::uint64_t before = received(b);
  const auto move = [&](const std::string& content) {
    fs::rename(a.share("big"), a.share("../big"));
    REQUIRE(eventually([&] { return !b.exists("big"); }));
    if (content != big) {
      const auto mtime = fs::last_write_time(a.share("../big"));
      { std::ofstream{a.share("../big"), std::ios::binary} << content; }
      fs::last_write_time(a.share("../big"), mtime);
    }
    fs::create_directory(a.share("d"));
    fs::rename(a.share("../big"), a.share("d/big"));
    REQUIRE(eventually([&] { return b.holds("d/big", content); }));
  };
  SUBCASE("the same") {
    move(big);
    CHECK(received(b) == before);
  }
  SUBCASE("announced before it is hashed") {
    big = random_bytes(20u << 20, 4);
    a.write("big", big);
    REQUIRE(eventually([&] { return b.holds("big", big); }));
    const std::uint64_t then = received(b);
    move(big);
    CHECK(received(b) == then);
  }
  SUBCASE("of the same size and time, but another") {
    std::string other = big;
    other[1'000'000] = static_cast<char>(~other[1'000'000]);
    move(other);
    CHECK(received(b) == before + big.size());
  }
}

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

TEST_CASE_FIXTURE(Pair,
                  "content: of a new version only the blocks are fetched that the old has not") {
  std::string content = random_bytes(20u << 20, 3);
  a.write("large", content);
  REQUIRE(eventually([&] { return b.holds("large", content); }));
  for (int i = 0; i < 3; ++i) {  // the second time its blocks are known
    const std::uint64_t before = received(b);
    SUBCASE("changed in place") { content.replace(9'000'000 + i, 1000, std::string(1000, 'x')); }
    SUBCASE("inserted at the front") { content.insert(0, "some bytes"); }
    SUBCASE("cut short") { content.resize(content.size() - 3'000'000); }
    SUBCASE("made longer") { content += random_bytes(100'000, 4); }
    a.write("large", content);
    REQUIRE(eventually([&] { return b.holds("large", content); }));
    CHECK(received(b) - before <= 2u << 20);
  }
}

TEST_CASE_FIXTURE(Pair,
                  "content: of what is like another file only that is fetched which differs") {
  constexpr std::uint64_t kLittle = 2u << 20;
  std::string content = random_bytes(20u << 20, 3);
  a.write("large", content);
  REQUIRE(eventually([&] { return b.holds("large", content) && has_sketch(b, "large"); }));
  Node* writer = &a;
  Node* reader = &b;
  std::string path = "d/alike";
  SUBCASE("changed in place") { content.replace(9'000'000, 1000, std::string(1000, 'x')); }
  SUBCASE("inserted at the front") { content.insert(0, random_bytes(900'000, 4)); }
  SUBCASE("cut short") { content.resize(content.size() - 3'000'000); }
  SUBCASE("made longer") { content += random_bytes(900'000, 4); }
  SUBCASE("where that was received") {
    std::swap(writer, reader);
    content.insert(10'000'000, random_bytes(900'000, 4));
  }
  SUBCASE("where the other is gone") {
    fs::rename(a.share("large"), a.share("../large"));
    REQUIRE(eventually([&] { return !b.exists("large"); }));
    content.insert(5'000'000, "more");
  }
  SUBCASE("where the other's sketch has to be made first") {
    a.stop();
    run_sql(a, "DELETE FROM sketch; DELETE FROM content");
    a.start({b.spec()});
    REQUIRE(eventually([&] { return has_sketch(a, "large"); }));
    content.insert(5'000'000, "more");
  }
  SUBCASE("in the other's place by now another stands") {
    b.stop();
    a.write("large", random_bytes(20u << 20, 5));
    content.insert(5'000'000, "more");
    b.start({a.spec()});
    REQUIRE(eventually([&] { return b.tree() == a.tree(); }));
  }
  const std::uint64_t before = received(*reader);
  writer->place(path, content);
  REQUIRE(eventually([&] { return reader->holds(path, content); }));
  CHECK(received(*reader) - before <= kLittle);
}

TEST_CASE_FIXTURE(Pair,
                  "content: where a new version is made of an old one that isn't what it seems") {
  b.stop();
  std::string other = big;
  other[kBytes / 3] = static_cast<char>(~other[kBytes / 3]);
  forge(b, "big", other);
  b.start({a.spec()});
  big[kBytes - 1] = static_cast<char>(~big[kBytes - 1]);
  a.write("big", big);
  CHECK(eventually([&] { return b.holds("big", big); }));
}

TEST_CASE_FIXTURE(Pair, "content: what is here only by its record, and is another, is fetched") {
  b.stop();
  std::string other = big;
  other[kBytes / 2] = static_cast<char>(~other[kBytes / 2]);
  forge(b, "big", other);
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
