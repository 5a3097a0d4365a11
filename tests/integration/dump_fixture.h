#pragma once

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/node.h"

namespace lefting::test {

inline Ended dumpstate(const Node& node, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--state", node.state()});
  return run("dumpstate", arguments);
}

/// The paths of a dump.
inline std::set<std::string> listed(const rapidjson::Document& dump) {
  std::set<std::string> paths;
  for (const auto& file : dump["files"].GetArray()) {
    CHECK(paths.insert(text_of(file, "path")).second);  // none twice
  }
  return paths;
}

/// A node with some files, all recorded.
inline std::set<std::string> fill(Node& node, int files) {
  std::set<std::string> paths;
  for (int i = 0; i < files; ++i) {
    const std::string path = "folder/file-" + std::to_string(i);
    node.write(path, std::to_string(i));
    paths.insert(path);
  }
  node.start({});
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  REQUIRE(eventually([&] { return listed(node.dump()) == paths; }));
  return paths;
}

}  // namespace lefting::test
