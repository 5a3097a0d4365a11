#include "common/share/trash.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "common/base/os.h"
#include "common/share/partial.h"
#include "common/share/traverse.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::share;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;  // 2023-11-14 22:13:20 UTC
constexpr std::uint64_t kDay = 24ull * 3600 * 1000;

struct Bin {
  test::TempFolder folder;
  Share share = Share::open(folder / "").take();

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path{folder / path}.parent_path());
    std::ofstream{folder / path} << text;
  }
  std::string read(const std::string& path) const { return read_file(folder / path).take(); }
  /// As the downloader does before it removes a file.
  void throw_away(const std::string& path, std::uint64_t now = kNow) const {
    const auto stat = share.stat(path);
    const auto after = put_into_trash(share, path, *stat.value(), now);
    REQUIRE(after.ok());
    REQUIRE(remove_file(share, path, after.value()).ok());
  }
  std::map<std::string, Trashed> all() const {
    std::map<std::string, Trashed> out;
    for_each_trashed(share, [&](const Trashed& one) { out.emplace(one.trash_path(), one); });
    return out;
  }
};

}  // namespace

TEST_CASE("trash: a file keeps its path and content below the time at which it went") {
  const Bin bin;
  bin.write("a/b/file", "one");
  bin.throw_away("a/b/file");
  CHECK_FALSE(fs::exists(bin.folder / "a/b/file"));
  CHECK(bin.read(".lefting-trash/20231114-221320/a/b/file") == "one");
  const auto all = bin.all();
  REQUIRE(all.size() == 1);
  CHECK(all.begin()->second.time == "20231114-221320");
  CHECK(all.begin()->second.path == "a/b/file");
  CHECK(all.begin()->second.stat.size == 3);
}

TEST_CASE("trash: several versions within one second are all kept") {
  const Bin bin;
  for (const char* text : {"one", "two", "three"}) {
    bin.write("file", text);
    bin.throw_away("file");
  }
  CHECK(bin.all().size() == 3);
  CHECK(bin.read(".lefting-trash/20231114-221320-3/file") == "three");
}

TEST_CASE("trash: what is not as expected is left alone, and nothing is put away") {
  const Bin bin;
  bin.write("file", "one");
  FileStat stat = *bin.share.stat("file").value();
  stat.mtime_ns += 1;
  const auto put = put_into_trash(bin.share, "file", stat, kNow);
  REQUIRE_FALSE(put.ok());
  CHECK(put.error().code.value() == kChangedMeanwhile);
  CHECK(bin.all().empty());
}

TEST_CASE("trash: a traversal of the share does not see it") {
  const Bin bin;
  bin.write("kept", "1");
  bin.write("gone", "1");
  bin.write("folder/.lefting-trash/not the trash", "1");
  bin.throw_away("gone");
  std::vector<std::string> met;
  Visitor visitor;
  visitor.file = [&](const std::string& path, const FileStat&) {
    met.push_back(path);
    return true;
  };
  visitor.trouble = [](const Error& error, const std::string&) { FAIL(error.text()); };
  CHECK(traverse(bin.share, "", visitor).skipped == 0);
  std::ranges::sort(met);
  CHECK(met == std::vector<std::string>{"folder/.lefting-trash/not the trash", "kept"});
  CHECK(is_in_trash(".lefting-trash"));
  CHECK(is_in_trash(".lefting-trash/x"));
  CHECK_FALSE(is_in_trash(".lefting-trashy/x"));
  CHECK_FALSE(is_in_trash("a/.lefting-trash/x"));
}

TEST_CASE("purge_trash: what is too old goes, and of the rest the oldest beyond the room") {
  const Bin bin;
  for (int day = 0; day < 5; ++day) {
    bin.write("d/file", std::to_string(day));
    bin.throw_away("d/file", kNow + static_cast<std::uint64_t>(day) * kDay);
  }
  CHECK(purge_trash(bin.share, {.days = 30, .percent = 100}, kNow + 5 * kDay).files == 0);
  CHECK(purge_trash(bin.share, {.days = 3, .percent = 100}, kNow + 5 * kDay).files == 2);
  auto all = bin.all();
  REQUIRE(all.size() == 3);
  CHECK(all.begin()->second.time == "20231116-221320");
  const TrashCount rest = purge_trash(bin.share, {.days = 30, .percent = 0}, kNow + 5 * kDay);
  CHECK(rest.files == 3);
  CHECK(rest.bytes == 3);
  CHECK_FALSE(fs::exists(bin.folder / ".lefting-trash"));
}

TEST_CASE("restore_trashed: it is back as it was, and what stood there is in the trash") {
  const Bin bin;
  bin.write("a/file", "old");
  bin.throw_away("a/file");
  const Trashed old = bin.all().begin()->second;
  bin.write("a/file", "new");
  REQUIRE(restore_trashed(bin.share, old, kNow + 5000).ok());
  CHECK(bin.read("a/file") == "old");
  CHECK(bin.share.stat("a/file").value()->mtime_ns == old.stat.mtime_ns);
  const auto all = bin.all();
  REQUIRE(all.size() == 1);
  CHECK(bin.read(all.begin()->first) == "new");
  REQUIRE(restore_trashed(bin.share, all.begin()->second, kNow + 9000).ok());
  CHECK(bin.read("a/file") == "new");
}
