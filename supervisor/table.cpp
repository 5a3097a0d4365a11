#include "supervisor/table.h"

#include <algorithm>

#include "common/base/assert.h"
#include "supervisor/human.h"

namespace lefting::supervisor {

namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (text_width(text) <= width) return std::string{text};
  if (width == 0) return {};
  std::size_t columns = 0;
  std::size_t end = 0;
  while (end < text.size() && (columns += begins_character(text[end]) ? 1 : 0) < width) ++end;
  return std::string{text.substr(0, end)} + "…";
}

Table::Table(std::vector<Column> columns)
    : columns_{std::move(columns)}, widths_(columns_.size(), 0) {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  rows_.push_back(std::move(titles));
}

void Table::add_row(const std::vector<std::string>& cells) {
  LEFTING_ASSERT(cells.size() == columns_.size());
  std::vector<std::string>& row = rows_.emplace_back();
  for (const std::string& cell : cells) append_printable(row.emplace_back(), cell);
}

std::vector<std::string> Table::take_lines() {
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths_[i] = std::max(widths_[i], text_width(row[i]));
  }
  std::size_t width = 2 * columns_.size();
  for (const std::size_t one : widths_) width += one;
  std::vector<std::string> out;
  for (const auto& row : rows_) {
    std::string line;
    line.reserve(width);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::size_t gap = widths_[i] - text_width(row[i]);
      if (i > 0) line += "  ";
      if (columns_[i].align == Align::right) line.append(gap, ' ');
      line += row[i];
      if (columns_[i].align == Align::left) line.append(gap, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out.push_back(std::move(line));
  }
  rows_.clear();
  return out;
}

}  // namespace lefting::supervisor
