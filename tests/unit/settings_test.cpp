#include "common/base/settings.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/unit/temp_folder.h"

using namespace lefting;

namespace {

Status load(const std::string& toml, Settings& settings) {
  const test::TempFolder folder;
  std::ofstream{folder / "lefting.toml"} << toml;
  return load_settings(settings, folder / "lefting.toml");
}

std::string fault_of(const std::string& toml) {
  Settings settings;
  const auto loaded = load(toml, settings);
  REQUIRE_FALSE(loaded.ok());
  return loaded.error().text();
}

}  // namespace

TEST_CASE("settings: a file sets what it names and leaves the rest") {
  Settings settings;
  REQUIRE(load("rescan_seconds = 7\nplain = true\npeers = [\"a:1\", \"b\"]\n", settings).ok());
  CHECK(settings.rescan_seconds == 7);
  CHECK(settings.plain);
  CHECK(settings.peers == std::vector<std::string>{"a:1", "b"});
  CHECK(settings.downloads == Settings{}.downloads);
}

TEST_CASE("settings: no file is no fault") {
  Settings settings;
  CHECK(load_settings(settings, "/nonexistent/lefting.toml").ok());
}

TEST_CASE("settings: a fault names the file's line and what is wrong") {
  CHECK(fault_of("\n\nrescan = 7\n").find("lefting.toml:3: unknown setting \"rescan\"") !=
        std::string::npos);
  CHECK(fault_of("downloads = 0\n").find(":1: ") != std::string::npos);
  CHECK(fault_of("downloads = 0\n").find("from 1 to 64") != std::string::npos);
  CHECK(fault_of("downloads = \"4\"\n").find("must be a number") != std::string::npos);
  CHECK(fault_of("plain = 1\n").find("must be a switch") != std::string::npos);
  CHECK(fault_of("peers = \"a\"\n").find("must be a list") != std::string::npos);
  CHECK(fault_of("name = [\"a\"]\n").find("must not be a list") != std::string::npos);
  CHECK(fault_of("a = \n").find(":1: ") != std::string::npos);
  CHECK(fault_of("log_level = \"loud\"\n").find("debug, info, warning or error") !=
        std::string::npos);
}

TEST_CASE("settings: flags carry every setting to a role") {
  Settings settings;
  settings.name = "with space = and equals";
  settings.peers = {"x:1", "y:2"};
  settings.plain = true;
  settings.downloads = 9;
  std::vector<std::string> arguments = setting_flags(settings);
  arguments.push_back("--state");
  arguments.push_back("/d");
  Settings taken;
  const auto rest = take_setting_flags(taken, arguments);
  REQUIRE(rest.ok());
  CHECK(rest.value() == std::vector<std::string>{"--state", "/d"});
  CHECK(setting_flags(taken) == setting_flags(settings));
}

TEST_CASE("settings: the table has a row for each setting") {
  Settings settings;
  settings.peers = {"one"};
  CHECK(setting_table().size() == setting_flags(settings).size());
}
