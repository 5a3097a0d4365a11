#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/share/path.h"

namespace lefting::scanner {

/// Where files and folders were before they were renamed, as the kernel says.
class Moves {
 public:
  void add(std::string from, std::string to) { from_[std::move(to)] = std::move(from); }
  void clear() { from_.clear(); }

  /// Where what stands at `path` was one rename ago: its own, or one of a folder above it.
  std::optional<std::string> origin(std::string_view path) const {
    if (from_.empty()) return std::nullopt;
    for (std::string_view above = path; !above.empty(); above = share::split_path(above).folder) {
      const auto at = from_.find(above);
      if (at != from_.end()) return at->second + std::string{path.substr(above.size())};
    }
    return std::nullopt;
  }

 private:
  std::map<std::string, std::string, std::less<>> from_;
};

}  // namespace lefting::scanner
