// What a store knows of contents.
#include <doctest/doctest.h>

#include <algorithm>

#include "common/store/store.h"
#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Store;
using test::hash_of;

namespace {

constexpr std::uint64_t kBytes = 20u << 20;

/// Odd ones by SHA-256.
Basis basis(int content) {
  const HashKind kind = content % 2 != 0 ? HashKind::sha256 : HashKind::blake3;
  return {hash_of(content, kind), kBytes, content};
}

/// A file with that content, which is there, or has been removed.
void put_file(Store& store, const std::string& path, int content, bool deleted = false) {
  Record record;
  record.entry = deleted ? test::tombstone(path, {}) : test::entry(path, content, {});
  if (!deleted) {
    record.entry.size = kBytes;
    record.entry.hash = basis(content).hash;
  }
  const auto before = store.find(path);
  store::Transaction transaction{store};
  REQUIRE(transaction.put_record(record, before ? before->sequence : 0));
  transaction.commit();
}

struct Fixture {
  test::TempFolder folder;
  Store store{folder / "s.db"};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "contents: a manifest comes back whole, by its own rule only") {
  const Manifest manifest{"some blocks", {basis(1), {hash_of(2), 0, -3}}};
  store.put_manifest(hash_of(9), "rule", manifest);
  CHECK(store.find_manifest(hash_of(9), "rule") == manifest);
  CHECK_FALSE(store.find_manifest(hash_of(9), "other").has_value());
  CHECK_FALSE(store.find_manifest(hash_of(8), "rule").has_value());
  CHECK_FALSE(store.find_manifest(hash_of(9, HashKind::sha256), "rule").has_value());
  store.put_manifest(hash_of(9), "rule", {"others", {}});
  CHECK(store.find_manifest(hash_of(9), "rule") == Manifest{"others", {}});
}

TEST_CASE_FIXTURE(Fixture, "contents: bases are those with most in common, then the youngest") {
  constexpr std::uint64_t kHigh = ~std::uint64_t{0};  // as a signed number it is -1
  store.put_sketch(basis(1), {1, 2, kHigh});
  store.put_sketch(basis(2), {2, 3, kHigh});
  store.put_sketch(basis(3), {});
  CHECK(store.find_bases({kHigh, 3}) == std::vector{basis(2), basis(1)});
  CHECK(store.find_bases({2}) == std::vector{basis(2), basis(1)});
  CHECK(store.find_bases({1, 3}) == std::vector{basis(2), basis(1)});
  CHECK(store.find_bases({4}).empty());
  CHECK(store.find_bases({}).empty());
  for (int more = 4; more < 10; ++more) store.put_sketch(basis(more), {1});
  CHECK(store.find_bases({1}) == std::vector{basis(9), basis(8), basis(7), basis(6)});
  CHECK(store.has_sketch(basis(3).hash));
  CHECK_FALSE(store.has_sketch(hash_of(3)));
  CHECK_FALSE(store.has_sketch(hash_of(99)));
}

TEST_CASE_FIXTURE(Fixture,
                  "contents: a sketch that is made again is the same one, of a newer time") {
  store.put_sketch(basis(1), {1, 2});
  Basis touched = basis(1);
  touched.mtime_ns = -7;
  store.put_sketch(touched, {1, 2});
  CHECK(store.find_bases({2}) == std::vector{touched});
}

TEST_CASE_FIXTURE(Fixture, "contents: large files without a sketch are named") {
  put_file(store, "large", 1);
  put_file(store, "copy", 1);
  put_file(store, "other", 2);
  put_file(store, "gone", 3, true);
  const auto lacking = [&] {
    auto paths = store.unsketched(kBytes);
    std::ranges::sort(paths);
    return paths;
  };
  CHECK(lacking() == std::vector<std::string>{"copy", "large", "other"});
  CHECK(store.unsketched(kBytes + 1).empty());
  store.put_sketch(basis(1), {});
  CHECK(lacking() == std::vector<std::string>{"other"});
}

TEST_CASE_FIXTURE(Fixture, "contents: of what no file has any more the sketch stays for a while") {
  constexpr std::uint64_t kKeep = 100;
  for (const int content : {1, 2}) {
    put_file(store, "f" + std::to_string(content), content);
    store.put_sketch(basis(content), {5});
    store.put_manifest(hash_of(content), "rule", {"blocks", {}});
  }
  store.drop_contents(1000, kKeep);
  CHECK(store.find_bases({5}).size() == 2);
  put_file(store, "f1", 1, true);
  store.drop_contents(2000, kKeep);  // it is noticed now
  CHECK_FALSE(store.find_manifest(hash_of(1), "rule").has_value());
  CHECK(store.find_manifest(hash_of(2), "rule").has_value());
  store.drop_contents(2099, kKeep);
  CHECK(store.find_bases({5}).size() == 2);
  SUBCASE("and goes then") {
    store.drop_contents(2100, kKeep);
    CHECK(store.find_bases({5}) == std::vector{basis(2)});
    CHECK_FALSE(store.has_sketch(hash_of(1)));
  }
  SUBCASE("and for good, where it is back") {
    put_file(store, "back", 1);
    store.drop_contents(9000, kKeep);
    CHECK(store.find_bases({5}).size() == 2);
    put_file(store, "back", 1, true);
    store.drop_contents(10'000, kKeep);  // from now on
    store.drop_contents(10'099, kKeep);
    CHECK(store.find_bases({5}).size() == 2);
  }
  SUBCASE("where nothing is kept it goes at once") {
    store.drop_contents(2100, 0);
    CHECK(store.find_bases({5}) == std::vector{basis(2)});
  }
}
