// supervisor: one instance of Lefting, from its start to its end.
//
// Makes     the instance folder, the device key, the store, the segment and the listening socket.
// Starts    scanner, listener and downloader, each again alone when it dies or stands still;
//           `supervisor hello` children, one for each peer that is not online.
// Reads     the segment's lock-free words and what comes through DIR/control.sock.
// Exits     0 done; 1 failed, with a line on stderr; 2 wrong usage; 3 no such instance runs.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <functional>
#include <string_view>

#include "common/base/entry.h"
#include "common/state/role_board.h"
#include "supervisor/commands.h"
#include "supervisor/hello.h"
#include "supervisor/start.h"

namespace {

using namespace lefting;
using namespace lefting::supervisor;

/// `supervisor hello --inherited SLOT --state DIR FLAGS…`, as only the supervisor says it.
int run_inherited_hello(const std::vector<std::string>& arguments) {
  Settings settings;
  int slot = -1;
  auto rest = take_setting_flags(settings, arguments);
  if (!rest) return fail(rest.error());
  const auto& words = rest.value();
  if (words.size() == 3 && words[1] == "--state") {
    std::from_chars(words[0].data(), words[0].data() + words[0].size(), slot);
  }
  if (slot < 0 || slot >= kMaxPeers) {
    return fail(plain_error("hello --inherited", "it is started by the supervisor",
                            "use `supervisor hello`"));
  }
  return hello_main(slot, instance_paths(words[2]), settings);
}

/// What the command line says; `run` is the chosen subcommand.
struct CommandLine {
  std::string state;
  std::string config;
  std::vector<std::pair<std::string, std::string>> settings;  ///< key and value, in order
  StartOptions start;
  bool json = false;
  bool follow = false;
  std::size_t lines = 100;
  std::vector<std::string> roles;
  std::string name;  ///< of a peer, a program or a file
  std::string at;    ///< a time in the trash
  std::function<int(const InstancePaths&)> run;
};

int run_start(const CommandLine& line, const InstancePaths& paths) {
  Settings settings;
  const std::string config = line.config.empty() ? paths.config() : line.config;
  if (auto loaded = load_settings(settings, config); !loaded) return fail(loaded.error());
  for (const auto& [key, value] : line.settings) {
    if (auto set = set_setting(settings, key, value); !set) {
      fail(set.error());
      return kToolUsage;
    }
  }
  return start_command(paths, settings, line.start);
}

/// A flag for each setting; the table of settings has their names and help.
void add_setting_flags(CLI::App& app, CommandLine& line) {
  for (const SettingInfo& info : setting_table()) {
    const std::string key{info.key};
    const std::string help{info.help};
    std::string flag = "--" + key;
    std::ranges::replace(flag, '_', '-');
    const auto note = [&line, key](const std::string& value) {
      line.settings.emplace_back(key, value);
    };
    if (info.kind == "switch") {
      app.add_flag_function(
          flag + ",!--no-" + flag.substr(2),
          [note](std::int64_t count) { note(count > 0 ? "true" : "false"); }, help);
    } else if (info.kind == "list") {
      app.add_option_function<std::vector<std::string>>(
             "--peer," + flag,
             [note](const std::vector<std::string>& values) {
               for (const std::string& value : values) note(value);
             },
             help + "; may be given again")
          ->allow_extra_args(false);
    } else {
      app.add_option_function<std::string>(flag, note, help);
    }
  }
}

CLI::App* add_command(CLI::App& app, CommandLine& line, const char* name, const char* help,
                      std::function<int(const InstancePaths&)> run) {
  CLI::App* command = app.add_subcommand(name, help);
  command->fallthrough();
  if (run) command->callback([&line, run] { line.run = run; });
  return command;
}

void add_running_commands(CLI::App& app, CommandLine& line) {
  add_command(app, line, "stop", "stop the instance", stop_command);
  auto* status = add_command(app, line, "status", "say how it is", [&line](const auto& paths) {
    return status_command(paths, line.json);
  });
  status->add_flag("--json", line.json, "as one JSON object");
  auto* restart = add_command(app, line, "restart", "restart roles", [&line](const auto& paths) {
    return restart_command(paths, line.roles);
  });
  restart->add_option("roles", line.roles, "scanner, listener, downloader; none is all")
      ->check(CLI::IsMember(
          std::vector<std::string>{state::kRoleNames.begin(), state::kRoleNames.end()}));
  add_command(app, line, "rescan", "traverse the share now, return when it is done",
              rescan_command);
  auto* hello = add_command(app, line, "hello", "say hello to peers now",
                            [&line](const auto& p) { return hello_command(p, line.name); });
  hello->add_option("peer", line.name, "device ID, address or name; none is all");
}

void add_peer_commands(CLI::App& app, CommandLine& line) {
  auto* peer = add_command(app, line, "peer", "the peers of this instance", nullptr);
  peer->require_subcommand(1);
  auto* add = add_command(*peer, line, "add", "know a peer from now on",
                          [&line](const auto& p) { return peer_add_command(p, line.name); });
  add->add_option("peer", line.name, "[ID@]HOST[:PORT], or ID alone")->required();
  auto* remove = add_command(*peer, line, "remove", "forget a peer", [&line](const auto& paths) {
    return peer_remove_command(paths, line.name);
  });
  remove->add_option("peer", line.name, "device ID, address or name")->required();
  auto* list = add_command(*peer, line, "list", "show the peers", [&line](const auto& paths) {
    return peer_list_command(paths, line.json);
  });
  list->add_flag("--json", line.json, "as a JSON array");
}

void add_trash_commands(CLI::App& app, CommandLine& line) {
  auto* trash = add_command(app, line, "trash", "what peers overwrote or removed", nullptr);
  trash->require_subcommand(1);
  auto* list = add_command(*trash, line, "list", "show it, oldest first",
                           [&line](const auto& p) { return trash_list_command(p, line.json); });
  list->add_flag("--json", line.json, "as a JSON array");
  add_command(*trash, line, "empty", "remove all of it", trash_empty_command);
  auto* restore =
      add_command(app, line, "restore", "put back what is in the trash",
                  [&line](const auto& p) { return restore_command(p, line.name, line.at); });
  restore->add_option("path", line.name, "a file, or a folder with all that is missing in it")
      ->required();
  restore->add_option("--at", line.at, "what went then: a time of `trash list`, or its beginning");
}

void add_deletes_commands(CLI::App& app, CommandLine& line) {
  auto* deletes = add_command(app, line, "deletes", "deletions that are held back", nullptr);
  deletes->require_subcommand(1);
  add_command(*deletes, line, "approve", "they are meant: tell the peers",
              [](const auto& p) { return deletes_command(p, true); });
  add_command(*deletes, line, "restore", "they are not: fetch the files from the peers again",
              [](const auto& p) { return deletes_command(p, false); });
}

void add_commands(CLI::App& app, CommandLine& line) {
  app.set_version_flag("--version", "lefting " LEFTING_VERSION);
  app.require_subcommand(1);
  app.add_option("--state", line.state, "the instance's folder");
  auto* start = add_command(app, line, "start", "start the instance",
                            [&line](const auto& paths) { return run_start(line, paths); });
  start->add_flag("--foreground", line.start.foreground, "stay, and show one line of status");
  start->add_flag("--rebuild", line.start.rebuild,
                  "set the store aside and make a new one from the share");
  start->add_option("--config", line.config, "instead of lefting.toml in the instance's folder")
      ->check(CLI::ExistingFile);
  add_setting_flags(*start, line);
  add_running_commands(app, line);
  auto* logs = add_command(app, line, "logs", "show the logs", [&line](const auto& paths) {
    return logs_command(paths, line.name, line.lines, line.follow);
  });
  logs->add_option("program", line.name, "supervisor, hello or a role; none is all");
  logs->add_flag("-f,--follow", line.follow, "go on with what comes");
  logs->add_option("-n,--lines", line.lines, "how many lines, 100 by default");
  add_command(app, line, "id", "print this device's ID", id_command);
  add_peer_commands(app, line);
  add_trash_commands(app, line);
  add_deletes_commands(app, line);
}

int run(int argc, char** argv) {
  const std::vector<std::string> arguments{argv + 1, argv + argc};
  if (arguments.size() >= 2 && arguments[0] == "hello" && arguments[1] == "--inherited") {
    return run_inherited_hello({arguments.begin() + 2, arguments.end()});
  }
  CLI::App app{"Lefting keeps a folder the same on many machines.", "supervisor"};
  CommandLine line;
  add_commands(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kToolDone : kToolUsage;
  }
  return line.run(instance_paths(line.state));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "supervisor: %s\n", error.what());
    return kToolFailed;
  }
}
