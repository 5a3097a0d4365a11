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
  /// How many lines take_lines() would give.
  std::size_t size() const { return rows_.size(); }
  /// The rows that were added since it was called last; the first time the titles before them. So
  /// a long table needn't be in memory as a whole: columns then get wider as it goes on.
  std::vector<std::string> take_lines();

 private:
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lefting::supervisor
