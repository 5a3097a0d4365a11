#include "common/share/partial.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/share/path.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::share;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TempFolder folder;
  Share share = Share::open(folder.path()).take();

  void write(const std::string& path, const std::string& content) {
    std::ofstream{folder / path} << content;
  }
  std::string read(const std::string& path) {
    std::ifstream in{folder / path};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  std::optional<FileStat> stat(const std::string& path) { return share.stat(path).value(); }
  PartialFile partial(const std::string& path, const std::string& content) {
    auto file = PartialFile::open(share, path, content.size(), false);
    REQUIRE(file.ok());
    REQUIRE(file.value().write(std::as_bytes(std::span{content}), 0).ok());
    REQUIRE(file.value().finish(0640, 1'600'000'000'123'456'789).ok());
    return file.take();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "partial: of full size from the start, under its name only when published") {
  auto file = PartialFile::open(share, "d/e/f", 3u << 20, false);
  REQUIRE(file.ok());
  CHECK(fs::file_size(folder / "d/e/f.lefting") == 3u << 20);
  CHECK_FALSE(fs::exists(folder / "d/e/f"));
  REQUIRE(file.value().finish(0751, -5).ok());
  REQUIRE(file.value().sync_content().ok());
  const auto stat_now = file.value().publish(std::nullopt);
  REQUIRE(stat_now.ok());
  CHECK(stat_now.value() == stat("d/e/f"));
  CHECK(stat_now.value().mode == 0751);
  CHECK(stat_now.value().mtime_ns == -5);
  CHECK_FALSE(fs::exists(folder / "d/e/f.lefting"));
}

TEST_CASE_FIXTURE(Fixture, "partial: it takes the place of the expected file, and only of that") {
  write("f", "old");
  const auto expected = stat("f");
  auto file = partial("f", "new content");
  write("f", "user");  // meanwhile
  const auto refused = file.publish(expected);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == kChangedMeanwhile);
  CHECK(read("f") == "user");
  REQUIRE(file.publish(stat("f")).ok());
  CHECK(read("f") == "new content");
  CHECK(std::distance(fs::directory_iterator{folder.path()}, {}) == 1);
}

TEST_CASE_FIXTURE(Fixture, "partial: a file that came where none was expected stays") {
  auto file = partial("f", "ours");
  write("f", "theirs");
  const auto refused = file.publish(std::nullopt);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == kChangedMeanwhile);
  CHECK(read("f") == "theirs");
  CHECK(file.discard().ok());
  CHECK_FALSE(fs::exists(folder / "f.lefting"));
}

TEST_CASE_FIXTURE(Fixture, "partial: a file that is gone where one was expected is noticed") {
  write("f", "old");
  const auto expected = stat("f");
  auto file = partial("f", "new");
  fs::remove(folder / "f");
  const auto refused = file.publish(expected);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == kChangedMeanwhile);
  CHECK_FALSE(fs::exists(folder / "f"));
}

TEST_CASE_FIXTURE(Fixture, "partial: an empty folder of the name gives way, a full one doesn't") {
  fs::create_directory(folder / "f");
  auto file = partial("f", "content");
  write("f/in it", "");
  auto refused = file.publish(std::nullopt);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == EISDIR);
  fs::remove(folder / "f/in it");
  REQUIRE(file.publish(std::nullopt).ok());
  CHECK(read("f") == "content");
}

TEST_CASE_FIXTURE(Fixture, "partial: resume takes up one of the right size, and no other") {
  { auto first = partial("f", "12345"); }
  auto again = PartialFile::open(share, "f", 5, true);
  REQUIRE(again.ok());
  CHECK(again.value().resumed());
  CHECK(read("f.lefting") == "12345");
  auto other = PartialFile::open(share, "f", 6, true);
  REQUIRE(other.ok());
  CHECK_FALSE(other.value().resumed());
  CHECK(read("f.lefting") == std::string(6, '\0'));
  fs::remove(folder / "f.lefting");
  fs::create_symlink("/etc/passwd", folder / "f.lefting");
  auto link = PartialFile::open(share, "f", 6, true);
  REQUIRE(link.ok());
  CHECK_FALSE(link.value().resumed());
  CHECK_FALSE(fs::is_symlink(folder / "f.lefting"));
}

TEST_CASE_FIXTURE(Fixture, "partial: names at the limit of what a folder takes are received too") {
  for (const std::size_t length : {247u, 248u, 255u}) {
    const std::string name(length, 'n');
    auto file = partial(name, "x");
    REQUIRE(file.publish(std::nullopt).ok());
    CHECK(read(name) == "x");
  }
}

TEST_CASE_FIXTURE(Fixture, "discard_partial: takes the partial file and the folders made for it") {
  { auto file = partial("a/b/f", "x"); }
  REQUIRE(discard_partial(share, "a/b/f").ok());
  CHECK(fs::is_empty(folder.path()));
  CHECK(discard_partial(share, "a/b/f").ok());
}

TEST_CASE_FIXTURE(Fixture, "discard_partial: beyond a symlink there is none") {
  fs::create_directory(folder / "real");
  fs::create_symlink("real", folder / "link");
  write("real/f.lefting", "a user's");
  CHECK(discard_partial(share, "link/f").ok());
  CHECK(read("real/f.lefting") == "a user's");
}

TEST_CASE_FIXTURE(Fixture, "move_file: only the expected file goes, and only to a free path") {
  write("f", "one");
  auto expected = *stat("f");
  write("g", "another");
  CHECK(move_file(share, "f", expected, "g").error().code.value() == EEXIST);
  write("f", "newer");
  CHECK(move_file(share, "f", expected, "d/e").error().code.value() == kChangedMeanwhile);
  CHECK(read("f") == "newer");
  const auto moved = move_file(share, "f", *stat("f"), "d/e");
  REQUIRE(moved.ok());
  CHECK(moved.value() == *stat("d/e"));
  CHECK(read("d/e") == "newer");
  CHECK_FALSE(stat("f"));
  CHECK(read("g") == "another");
}

TEST_CASE_FIXTURE(Fixture, "remove_file: only the expected file goes") {
  write("f", "old");
  auto expected = *stat("f");
  write("f", "newer");
  const auto refused = remove_file(share, "f", expected);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == kChangedMeanwhile);
  CHECK(read("f") == "newer");
  CHECK(remove_file(share, "f", *stat("f")).ok());
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE_FIXTURE(Fixture, "link_file: the path never vanishes, and a taken name is left alone") {
  write("f", "content");
  write("taken", "other");
  const auto refused = link_file(share, "f", *stat("f"), "taken");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code.value() == EEXIST);
  CHECK(read("taken") == "other");
  const auto linked = link_file(share, "f", *stat("f"), "kept");
  REQUIRE(linked.ok());
  CHECK(linked.value() == stat("f"));
  CHECK(read("kept") == "content");
}

TEST_CASE_FIXTURE(Fixture, "link_file and set_metadata: only of the expected file") {
  write("f", "content");
  const auto old = *stat("f");
  const auto set = set_metadata(share, "f", old, 0600, 1'500'000'000'000'000'001);
  REQUIRE(set.ok());
  CHECK(set.value().mode == 0600);
  CHECK(set.value().mtime_ns == 1'500'000'000'000'000'001);
  CHECK_FALSE(set_metadata(share, "f", old, 0644, 0).ok());
  CHECK_FALSE(link_file(share, "f", old, "g").ok());
  CHECK(link_file(share, "f", *stat("f"), "g").ok());
  CHECK(read("g") == "content");
}
