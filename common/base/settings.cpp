#include "common/base/settings.h"

#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <variant>

#include "common/base/os.h"

namespace lefting {

namespace {

struct Number {
  std::uint64_t Settings::*field;
  std::uint64_t least;
  std::uint64_t most;
};
using Field = std::variant<std::string Settings::*, bool Settings::*, Number,
                           std::vector<std::string> Settings::*>;
constexpr std::string_view kKinds[] = {"text", "switch", "number", "list"};

struct Row {
  std::string_view key;
  Field field;
  std::string_view help;
};

const Row kRows[] = {
    {"share", &Settings::share, "the folder that is kept the same"},
    {"listen", &Settings::listen, "ADDRESS:PORT to listen on"},
    {"name", &Settings::name, "what people call this peer; default: the host's name"},
    {"peers", &Settings::peers, "peers to know: [ID@]HOST[:PORT], or ID alone"},
    {"plain", &Settings::plain, "no TLS: only for loopback and trusted wires"},
    {"compress", &Settings::compress, "ask peers to compress file data (zstd): for slow wires"},
    {"rescan_seconds", Number{&Settings::rescan_seconds, 1, 31536000},
     "seconds between two traversals of the share"},
    {"brake", &Settings::brake, "hold back the deletion of a large part of the share"},
    {"trash", &Settings::trash, "keep in .lefting-trash what peers overwrite or remove"},
    {"trash_days", Number{&Settings::trash_days, 0, 36500}, "how long it is kept, in days"},
    {"trash_percent", Number{&Settings::trash_percent, 0, 100},
     "how much of the disk it may take at most"},
    {"hash", &Settings::hash, "what proves new content: blake3, or sha256"},
    {"hash_threads", Number{&Settings::hash_threads, 1, 256}, "threads that hash changed files"},
    {"downloads", Number{&Settings::downloads, 1, 64}, "tickets worked on at once"},
    {"max_connections", Number{&Settings::max_connections, 1, 10000},
     "connections answered at once; a further one is told to come back"},
    {"segment_limit_mib", Number{&Settings::segment_limit_mib, 4, 65536},
     "most memory the segment may take, in MiB"},
    {"log_level", &Settings::log_level, "debug, info, warning or error"},
};

const Row* find_row(std::string_view key) {
  for (const Row& row : kRows) {
    if (row.key == key) return &row;
  }
  return nullptr;
}

Error bad_value(std::string_view key, std::string_view text, const std::string& wanted) {
  return plain_error("setting " + std::string{key}, "\"" + printable(text) + "\" is not " + wanted);
}

Status check_text(std::string_view key, std::string_view text) {
  if (text.find('\0') != text.npos) return bad_value(key, text, "text without NUL");
  if (key == "log_level" && text != "debug" && text != "info" && text != "warning" &&
      text != "error") {
    return bad_value(key, text, "debug, info, warning or error");
  }
  if (key == "hash" && !parse_hash_kind(text)) return bad_value(key, text, "blake3 or sha256");
  if ((key == "share" || key == "listen") && text.empty()) return bad_value(key, text, "a value");
  return {};
}

struct Setter {
  Settings& settings;
  std::string_view key;
  std::string_view text;

  Status operator()(std::string Settings::*field) const {
    if (auto good = check_text(key, text); !good) return good;
    settings.*field = text;
    return {};
  }
  Status operator()(bool Settings::*field) const {
    if (text != "true" && text != "false") return bad_value(key, text, "true or false");
    settings.*field = text == "true";
    return {};
  }
  Status operator()(Number number) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < number.least ||
        value > number.most) {
      return bad_value(key, text,
                       fmt::format("a whole number from {} to {}", number.least, number.most));
    }
    settings.*(number.field) = value;
    return {};
  }
  Status operator()(std::vector<std::string> Settings::*field) const {
    if (text.empty()) return bad_value(key, text, "a value");
    (settings.*field).emplace_back(text);
    return {};
  }
};

/// The text of a TOML value, if it is of the kind that `row` takes.
std::optional<std::string> toml_text(const Row& row, const toml::node& node) {
  switch (row.field.index()) {
    case 0:
    case 3:
      return node.value_exact<std::string>();
    case 1:
      if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
      return std::nullopt;
    default:
      if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
      return std::nullopt;
  }
}

Error at_line(const std::string& path, const toml::source_region& where, const std::string& what) {
  return plain_error(fmt::format("{}:{}", path, where.begin.line), what,
                     "mend that line (docs/OPERATIONS.md lists the settings)");
}

Status set_from_toml(Settings& settings, const std::string& path, const toml::key& key,
                     const toml::node& node) {
  const Row* row = find_row(key.str());
  if (row == nullptr) {
    return at_line(path, key.source(), "unknown setting \"" + std::string{key.str()} + "\"");
  }
  const bool list = row->field.index() == 3;
  if (list != node.is_array()) {
    return at_line(
        path, node.source(),
        std::string{key.str()} + (list ? " must be a list of texts" : " must not be a list"));
  }
  const auto set_one = [&](const toml::node& value) -> Status {
    const auto text = toml_text(*row, value);
    if (!text) {
      return at_line(path, value.source(),
                     fmt::format("{} must be a {}", row->key, kKinds[row->field.index()]));
    }
    if (auto set = set_setting(settings, row->key, *text); !set) {
      return at_line(path, value.source(), set.error().text());
    }
    return {};
  };
  if (!list) return set_one(node);
  for (const toml::node& element : *node.as_array()) {
    if (auto set = set_one(element); !set) return set;
  }
  return {};
}

std::string flag_name(std::string_view key) {
  std::string flag = "--" + std::string{key};
  for (char& c : flag) {
    if (c == '_') c = '-';
  }
  return flag;
}

}  // namespace

std::span<const SettingInfo> setting_table() {
  static const std::vector<SettingInfo> table = [] {
    std::vector<SettingInfo> out;
    for (const Row& row : kRows) out.push_back({row.key, kKinds[row.field.index()], row.help});
    return out;
  }();
  return table;
}

Status set_setting(Settings& settings, std::string_view key, std::string_view text) {
  const Row* row = find_row(key);
  if (row == nullptr) return plain_error("setting", "unknown setting \"" + std::string{key} + "\"");
  return std::visit(Setter{settings, key, text}, row->field);
}

Status load_settings(Settings& settings, const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) {
    if (errno == ENOENT) return {};
    return os_error(errno, "open", path);
  }
  auto content = read_file(path);
  if (!content) return content.error();
  try {
    const toml::table table = toml::parse(content.value(), path);
    for (const auto& [key, node] : table) {
      if (auto set = set_from_toml(settings, path, key, node); !set) return set;
    }
  } catch (const toml::parse_error& error) {
    return at_line(path, error.source(), std::string{error.description()});
  }
  return {};
}

std::vector<std::string> setting_flags(const Settings& settings) {
  std::vector<std::string> flags;
  for (const Row& row : kRows) {
    const std::string name = flag_name(row.key) + "=";
    switch (row.field.index()) {
      case 0:
        flags.push_back(name + settings.*std::get<0>(row.field));
        break;
      case 1:
        flags.push_back(name + (settings.*std::get<1>(row.field) ? "true" : "false"));
        break;
      case 2:
        flags.push_back(name + std::to_string(settings.*(std::get<2>(row.field).field)));
        break;
      default:
        for (const std::string& one : settings.*std::get<3>(row.field)) flags.push_back(name + one);
    }
  }
  return flags;
}

Result<std::vector<std::string>> take_setting_flags(Settings& settings,
                                                    std::vector<std::string> arguments) {
  std::vector<std::string> rest;
  for (std::string& argument : arguments) {
    const auto equals = argument.find('=');
    const Row* row = nullptr;
    for (const Row& candidate : kRows) {
      if (argument.substr(0, equals) == flag_name(candidate.key)) row = &candidate;
    }
    if (row == nullptr || equals == argument.npos) {
      rest.push_back(std::move(argument));
      continue;
    }
    const std::string value = argument.substr(equals + 1);
    if (auto set = set_setting(settings, row->key, value); !set) return set.error();
  }
  return rest;
}

LogLevel log_level(const Settings& settings) {
  if (settings.log_level == "debug") return LogLevel::debug;
  if (settings.log_level == "warning") return LogLevel::warning;
  if (settings.log_level == "error") return LogLevel::error;
  return LogLevel::info;
}

HashKind hash_kind(const Settings& settings) {
  return parse_hash_kind(settings.hash).value_or(HashKind::blake3);
}

InstancePaths instance_paths(const std::string& state_flag) {
  std::string dir = state_flag;
  const auto from_environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string{value == nullptr ? "" : value};
  };
  if (dir.empty()) dir = from_environment("LEFTING_STATE");
  if (dir.empty()) {
    const std::string base = from_environment("XDG_STATE_HOME");
    dir = base.empty() ? from_environment("HOME") + "/.local/state/lefting" : base + "/lefting";
  }
  std::string absolute = std::filesystem::absolute(dir).lexically_normal().string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return {std::move(absolute)};
}

Status make_instance_folder(const InstancePaths& paths) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path{paths.dir}.parent_path(), error);
  for (const std::string& folder : {paths.dir, paths.logs()}) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return os_error(errno, "create folder", folder, "choose another with --state DIR");
    }
  }
  if (::access(paths.dir.c_str(), W_OK | X_OK) != 0) {
    return os_error(errno, "use folder", paths.dir, "choose another with --state DIR");
  }
  return {};
}

}  // namespace lefting
