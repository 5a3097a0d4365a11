#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/content_hash.h"
#include "common/base/log.h"
#include "common/base/result.h"

namespace lefting {

/// What the user can choose. Each has a flag (`rescan_seconds` is `--rescan-seconds`) and a key in
/// lefting.toml; the table in settings.cpp has names, limits and help, once for all three.
struct Settings {
  std::string share = "share";
  std::string listen = "0.0.0.0:20000";
  std::string name;                ///< for people; the host's name where it is empty
  std::vector<std::string> peers;  ///< [ID@]HOST[:PORT], or ID alone for one that comes to us
  bool plain = false;
  bool compress = false;  ///< ask peers for zstd data
  std::uint64_t rescan_seconds = 3600;
  bool brake = true;  ///< many deletions at once are held back until the user approves
  bool trash = true;  ///< what peers overwrite or remove is kept for a while
  std::uint64_t trash_days = 30;
  std::uint64_t trash_percent = 10;  ///< of the share's file system
  std::string hash = "blake3";       ///< of what is found here, and of what comes without one
  std::uint64_t hash_threads = 2;
  std::uint64_t downloads = 4;  ///< tickets worked on at once
  std::uint64_t max_connections = 256;
  std::uint64_t segment_limit_mib = 4096;
  std::string log_level = "info";
};

struct SettingInfo {
  std::string_view key;   ///< as in lefting.toml
  std::string_view kind;  ///< "text", "switch", "number" or "list"
  std::string_view help;
};
std::span<const SettingInfo> setting_table();

/// Sets one setting from text; a list gets one element more.
/// Errors: unknown key, not of its kind, out of its limits; the error says which and what to do.
Status set_setting(Settings& settings, std::string_view key, std::string_view text);

/// Takes what the TOML file at `path` says; a file that isn't there says nothing.
/// Errors name the file and the line.
Status load_settings(Settings& settings, const std::string& path);

/// `--key=value` for every setting: how the supervisor hands them to a role.
std::vector<std::string> setting_flags(const Settings& settings);
/// The other way: takes `--state DIR` style arguments of a role. Returns the rest.
Result<std::vector<std::string>> take_setting_flags(Settings& settings,
                                                    std::vector<std::string> arguments);

LogLevel log_level(const Settings& settings);
HashKind hash_kind(const Settings& settings);

/// Where an instance keeps what is its own. `dir` is absolute.
struct InstancePaths {
  std::string dir;
  std::string store() const { return dir + "/lefting.db"; }
  std::string config() const { return dir + "/lefting.toml"; }
  std::string key() const { return dir + "/key.pem"; }
  std::string certificate() const { return dir + "/certificate.pem"; }
  std::string lock() const { return dir + "/lock"; }
  std::string logs() const { return dir + "/logs"; }
  std::string log(std::string_view program) const {
    return logs() + "/" + std::string{program} + ".log";
  }
  static constexpr std::string_view kControlSocket = "control.sock";
};

/// `--state` as given, else $LEFTING_STATE, else $XDG_STATE_HOME/lefting, else
/// ~/.local/state/lefting; made absolute, not created.
InstancePaths instance_paths(const std::string& state_flag);
/// Creates the folder (0700) and its logs folder where they are missing.
Status make_instance_folder(const InstancePaths& paths);

}  // namespace lefting
