#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lefting::supervisor {

/// How many columns UTF-8 text takes on a terminal, one for each character.
std::size_t text_width(std::string_view text);
/// `text` cut to at most `width` columns, with an ellipsis where something is missing.
std::string cut_to_width(std::string_view text, std::size_t width);

/// Aligned columns for people. Control bytes in cells are made visible.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns);

  /// As many cells as there are columns.
  void add_row(const std::vector<std::string>& cells);
  bool empty() const { return rows_.size() == 1; }
  /// The title line and the rows.
  std::vector<std::string> lines() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< the first is the titles
};

}  // namespace lefting::supervisor
