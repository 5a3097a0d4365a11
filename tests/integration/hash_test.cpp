// Groups in which some hash by SHA-256 and some by BLAKE3: as while one is brought up to date.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "common/store/store.h"
#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

rapidjson::Document file_of(Node& node, const std::string& path) {
  const auto dump = node.dump();
  rapidjson::Document found;
  for (const auto& file : dump["files"].GetArray()) {
    if (text_of(file, "path") == path) found.CopyFrom(file, found.GetAllocator());
  }
  REQUIRE(found.IsObject());
  return found;
}

/// What the peers are told of it: only that it is as it was.
std::string entry_of(Node& node, const std::string& path) {
  const auto file = file_of(node, path);
  std::string version;
  for (const auto& one : file["version"].GetObject()) {
    version += one.name.GetString() + std::to_string(one.value.GetUint64()) + " ";
  }
  return text_of(file, "hash") + text_of(file, "blake3") + " " + version;
}

struct Mixed {
  Nodes nodes{2};
  Node& old_one = nodes[0];
  Node& new_one = nodes[1];

  void start(const std::string& hash_of_old = "sha256") {
    nodes.start(0, {"--hash", hash_of_old});
    nodes.start(1);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Mixed, "hash: of both kinds, and the same content is no conflict") {
  const std::string content = random_bytes(3u << 20, 1);
  for (Node* node : {&old_one, &new_one}) {
    node->write("same", content);
    node->write("d/small", "small");
  }
  old_one.write("other", "one");
  new_one.write("other", "two");
  start();
  nodes.settle();
  CHECK(nodes.conflicts() == 1);
  CHECK(old_one.tree().size() == 4);
  for (Node* node : {&old_one, &new_one}) {
    CHECK(received(*node) <= 6);
  }
}

TEST_CASE_FIXTURE(Mixed, "hash: of both kinds, and each proves what the other has made") {
  start();
  const std::string large = random_bytes(20u << 20, 2);  // announced before it is hashed
  old_one.write("by sha256", large);
  new_one.write("by blake3", large + "1");
  old_one.write("empty", "");
  nodes.settle();
  CHECK(new_one.holds("by sha256", large));
  CHECK(old_one.holds("by blake3", large + "1"));
  CHECK(file_of(new_one, "by sha256").HasMember("hash"));
  CHECK(file_of(old_one, "by blake3").HasMember("blake3"));
  CHECK(file_of(new_one, "empty").HasMember("hash"));

  std::string changed = large;
  changed.replace(5'000'000, 3, "new");
  new_one.write("by sha256", changed);
  old_one.write("by blake3", large + "2");
  nodes.settle();
  CHECK(old_one.holds("by sha256", changed));
  CHECK(new_one.holds("by blake3", large + "2"));
  CHECK(nodes.conflicts() == 0);
}

TEST_CASE_FIXTURE(Mixed, "hash: what was hashed by the other kind and is as it was is no news") {
  const std::string content = random_bytes(17u << 20, 3);
  old_one.write("f", "small");
  old_one.write("large", content);
  start();
  nodes.settle();
  const std::string small_entry = entry_of(new_one, "f");
  const std::string large_entry = entry_of(new_one, "large");
  old_one.stop();
  // As from a backup: another inode, the same mtime.
  for (const char* path : {"f", "large"}) {
    const auto mtime = fs::last_write_time(old_one.share(path));
    fs::copy_file(old_one.share(path), old_one.share("../back"));
    fs::last_write_time(old_one.share("../back"), mtime);
    fs::rename(old_one.share("../back"), old_one.share(path));
  }
  old_one.write("after", "");
  nodes.start(0);  // by BLAKE3 from now on
  REQUIRE(eventually([&] { return new_one.exists("after"); }));
  nodes.settle();
  for (Node* node : {&old_one, &new_one}) {
    CHECK(entry_of(*node, "f") == small_entry);
    CHECK(entry_of(*node, "large") == large_entry);
  }
  CHECK(file_of(old_one, "after").HasMember("blake3"));

  old_one.write("f", "SMALL");
  REQUIRE(eventually([&] { return new_one.holds("f", "SMALL"); }));
  CHECK(file_of(new_one, "f").HasMember("blake3"));
}

TEST_CASE("hash: a word that is no kind of hash is refused") {
  Node node;
  const Ended ended = node.try_start({}, {"--hash", "md5"});
  CHECK(ended.code != 0);
  CHECK(says(ended.err, "blake3 or sha256"));
}

TEST_CASE_FIXTURE(Mixed,
                  "hash: who dies with a file half received knows afterwards which it is to be") {
  const char* kind = "blake3";
  SUBCASE("by BLAKE3") {}
  SUBCASE("by SHA-256") { kind = "sha256"; }
  start(kind);
  const std::string content = random_bytes(128u << 20, 4);
  old_one.place("big", content);  // announced before it is hashed
  const auto knows_hash = [&] {
    lefting::store::Store store{store_of(new_one), lefting::store::Access::read};
    const auto ticket = store.find_ticket("big");
    return ticket && ticket->wanted.hash;
  };
  REQUIRE(eventually([&] { return knows_hash() || new_one.exists("big"); }));
  new_one.kill_all();
  nodes.start(1);
  REQUIRE(eventually([&] { return new_one.holds("big", content); }));
  nodes.settle();
}
