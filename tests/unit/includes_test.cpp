// Which room may include which: read from the sources, so that a wrong arrow fails a test.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path kSource{LEFTING_SOURCE_DIR};

using Room = std::string;  // "scanner", "common/wire"

Room room_of(const std::string& path) {
  const auto first = path.find('/');
  if (path.substr(0, first) != "common") return path.substr(0, first);
  return path.substr(0, path.find('/', first + 1));
}

const std::set<Room> kRoles = {"supervisor", "scanner", "listener", "downloader"};

/// What a room of common/ may include beside itself.
const std::map<Room, std::set<Room>> kBelow = {
    {"common/base", {}},
    {"common/wire", {"common/base"}},
    {"common/net", {"common/base", "common/wire"}},  // a connection carries frames
    {"common/share", {"common/base"}},
    {"common/state", {"common/base"}},
    {"common/store", {"common/base"}},
    {"common/sync",
     {"common/base", "common/wire", "common/net", "common/share", "common/state", "common/store"}},
    {"common/role",
     {"common/base", "common/wire", "common/net", "common/share", "common/state", "common/store",
      "common/sync"}},
};

bool may_include(const Room& from, const Room& to) {
  if (from == to) return true;
  if (kRoles.contains(from)) return to.starts_with("common/");
  const auto below = kBelow.find(from);
  return below != kBelow.end() && below->second.contains(to);
}

}  // namespace

TEST_CASE("includes: a role includes itself and common, a room of common only what is below it") {
  const std::string include = "#include \"";
  std::size_t seen = 0;
  for (const char* top : {"common", "supervisor", "scanner", "listener", "downloader"}) {
    for (const auto& item : fs::recursive_directory_iterator{kSource / top}) {
      const auto extension = item.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      const std::string file = fs::relative(item.path(), kSource).string();
      CAPTURE(file);
      std::ifstream in{item.path()};
      for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(include)) continue;
        CAPTURE(line);
        const std::string included = line.substr(include.size());
        CHECK(may_include(room_of(file), room_of(included)));
        ++seen;
      }
    }
  }
  CHECK(seen > 100);
}
