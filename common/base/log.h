#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace lefting {

enum class LogLevel { debug, info, warning, error };

/// Sends this process's log lines to `file` (rotated at 8 MiB, three kept), those of warning and
/// above to stderr too. Without it only warnings and errors go to stderr.
void open_log(const std::string& program, const std::string& file, LogLevel least);
bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::debug)) {
    log_line(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::info)) {
    log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

/// `text` as it may stand in a log line or on a terminal: control bytes as \xNN.
std::string printable(std::string_view text);

}  // namespace lefting
