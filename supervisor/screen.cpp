#include "supervisor/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "common/base/os.h"
#include "supervisor/table.h"

namespace lefting::supervisor {

namespace {

// Alternate screen, no wrapping, no cursor, empty; and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?7h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";

bool write_out(std::string_view text) {
  return write_all(STDOUT_FILENO, std::as_bytes(std::span{text})).ok();
}

bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view{kind} != "dumb";
}

}  // namespace

std::string frame_text(const std::vector<std::string>& lines, std::size_t rows,
                       std::size_t columns) {
  std::string out{kHome};
  for (std::size_t i = 0; i < std::min(lines.size(), rows); ++i) {
    if (i > 0) out += '\n';
    // The last column stays free: there, clearing the rest would clear what was just written.
    out += cut_to_width(lines[i], std::max<std::size_t>(columns, 1) - 1);
    out += kClearLine;
  }
  out += kClearBelow;
  return out;
}

Screen::Screen() : terminal_{is_terminal()} { enter(); }

Screen::~Screen() { leave(); }

void Screen::enter() const {
  if (terminal_) static_cast<void>(write_out(kEnter));
}

void Screen::leave() const {
  if (terminal_) static_cast<void>(write_out(kLeave));
}

Screen::Size Screen::size() const {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0) return {};
  return {.rows = window.ws_row, .columns = window.ws_col};
}

bool Screen::draw(const std::vector<std::string>& lines) const {
  if (terminal_) {
    const Size now = size();
    return write_out(frame_text(lines, now.rows, now.columns));
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return write_out(text + "\n");
}

}  // namespace lefting::supervisor
