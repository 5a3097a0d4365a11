#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace lefting::bench {

/// Numbers by name, printed as lines or as one JSON object.
class Report {
 public:
  void put(std::string name, double value) { put(std::move(name), std::vector<double>{value}); }
  void put(std::string name, const std::vector<double>& values) {
    numbers_.emplace_back(std::move(name), values);
  }
  void print(bool json) const {
    std::string text;
    for (const auto& [name, values] : numbers_) {
      const std::string list = fmt::format("{:.6g}", fmt::join(values, ", "));
      if (!json) {
        fmt::print("{:<22} {}\n", name, list);
        continue;
      }
      const bool is_list = values.size() > 1;
      text += fmt::format("{}\"{}\": {}{}{}", text.empty() ? "" : ", ", name, is_list ? "[" : "",
                          list, is_list ? "]" : "");
    }
    if (json) fmt::print("{{{}}}\n", text);
  }

 private:
  std::vector<std::pair<std::string, std::vector<double>>> numbers_;
};

}  // namespace lefting::bench
