#include "common/base/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace lefting {

namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

/// Before open_log, and in tests: warnings on stderr, not on stdout as spdlog has it.
spdlog::logger& logger() {
  static const bool first = [] {
    if (spdlog::default_logger()->name().empty()) {
      auto to_stderr = std::make_shared<spdlog::sinks::stderr_sink_mt>();
      auto quiet = std::make_shared<spdlog::logger>("lefting", std::move(to_stderr));
      quiet->set_level(spdlog::level::warn);
      quiet->set_pattern("%n: %v");
      spdlog::set_default_logger(std::move(quiet));
    }
    return true;
  }();
  static_cast<void>(first);
  return *spdlog::default_logger_raw();
}

}  // namespace

void open_log(const std::string& program, const std::string& file, LogLevel least) {
  auto to_file = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file, 8u << 20, 3);
  auto to_stderr = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  to_file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n[%P] %l: %v");
  to_stderr->set_pattern("%n: %v");
  to_stderr->set_level(spdlog::level::warn);
  auto both = std::make_shared<spdlog::logger>(
      program, spdlog::sinks_init_list{std::move(to_file), std::move(to_stderr)});
  both->set_level(spdlog_level(least));
  both->flush_on(spdlog::level::debug);  // a killed process must not take its last lines along
  spdlog::set_default_logger(std::move(both));
}

bool log_enabled(LogLevel level) { return logger().should_log(spdlog_level(level)); }

void log_line(LogLevel level, std::string_view line) {
  logger().log(spdlog_level(level), spdlog::string_view_t{line.data(), line.size()});
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace lefting
