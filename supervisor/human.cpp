#include "supervisor/human.h"

#include <fmt/compile.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "common/base/log.h"

namespace lefting::supervisor {

std::string human_size(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // What would round to 1024.0 is 1.0 of the next unit.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::string human_time(std::int64_t ns_since_epoch) {
  constexpr std::int64_t kNsPerSecond = 1000000000;
  std::int64_t seconds = ns_since_epoch / kNsPerSecond;
  if (ns_since_epoch % kNsPerSecond < 0) --seconds;
  const std::time_t time = seconds;
  std::tm local{};
  ::localtime_r(&time, &local);
  return fmt::format(FMT_COMPILE("{}-{:02}-{:02} {:02}:{:02}:{:02}"), local.tm_year + 1900,
                     local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

void append_printable(std::string& to, std::string_view text) {
  const bool is_plain = std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (is_plain) {
    to += text;
  } else {
    to += printable(text);
  }
}

void append_right(std::string& to, std::string_view text, std::size_t width) {
  if (text.size() < width) to.append(width - text.size(), ' ');
  to += text;
}

std::string progress_bar(std::uint64_t done, std::uint64_t all, std::size_t width) {
  const double part =
      all == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  const auto full = static_cast<std::size_t>(part * static_cast<double>(width));
  return fmt::format("[{}{}] {:3} %", std::string(full, '#'), std::string(width - full, '-'),
                     static_cast<int>(part * 100));
}

std::string counted(std::uint64_t count, const char* thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace lefting::supervisor
