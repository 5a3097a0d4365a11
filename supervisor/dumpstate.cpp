// dumpstate: shows all that an instance knows, to people and to programs.
//
// Reads     the segment of a running instance, which its supervisor hands over; else the store.
// Changes   nothing; but parts of the segment that are dirty are loaded again.
// Writes    stdout: aligned tables, or JSON with --json.
// Exits     0 done; 1 failed, with a line on stderr; 2 wrong usage; 3 no such instance.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/base/log.h"
#include "supervisor/commands.h"
#include "supervisor/dump_json.h"
#include "supervisor/dump_tables.h"
#include "supervisor/view.h"
#include "supervisor/watch.h"

namespace {

using namespace lefting;
using namespace lefting::supervisor;

/// It answers at once, unless it is stopped or stuck.
constexpr milliseconds kSupervisorWait{4000};

struct CommandLine {
  std::string state;
  std::string section;
  std::string glob;
  bool json = false;
  bool watch = false;
};

Status dump_json(View& view, const CommandLine& line) {
  if (line.section == "unsynced") return write_unsynced_json(stdout, view, line.glob);
  if (line.section == "conflicts") write_conflicts_json(stdout, view, line.glob);
  if (line.section.empty()) write_state_json(stdout, view, line.glob);
  if (line.section == "summary") write_summary_json(stdout, view);
  if (line.section == "roles") write_roles_json(stdout, view);
  if (line.section == "peers") write_peers_json(stdout, view.peers());
  if (line.section == "tickets") write_tickets_json(stdout, view, line.glob);
  if (line.section == "files") write_files_json(stdout, view, line.glob);
  return {};
}

Status dump_tables(View& view, const CommandLine& line) {
  if (line.section == "unsynced") return print_unsynced(stdout, view, line.glob);
  if (line.section == "conflicts") print_conflicts(stdout, view, line.glob);
  if (line.section == "files") print_files(stdout, view, line.glob);
  if (line.section == "tickets") print_tickets(stdout, view, line.glob);
  std::vector<std::string> lines;
  if (line.section.empty() || line.section == "summary") lines = overview_lines(view, line.glob);
  if (line.section == "roles") lines = role_lines(view);
  if (line.section == "peers") lines = peer_lines(view.peers());
  for (const std::string& one : lines) std::puts(one.c_str());
  return {};
}

std::unique_ptr<View> open_view(const InstancePaths& paths) {
  auto view = View::open(paths, store::Access::look, kSupervisorWait);
  if (view) return view.take();
  std::fprintf(stderr, "dumpstate: %s; this is what the store has\n", view.error().text().c_str());
  return View::open_store(paths);
}

int no_instance(const InstancePaths& paths, const char* what) {
  std::fprintf(stderr,
               "dumpstate: %s %s; `supervisor start` makes one, --state DIR names another\n", what,
               printable(paths.dir).c_str());
  return kToolNotRunning;
}

int dump(const CommandLine& line) {
  const InstancePaths paths = instance_paths(line.state);
  if (!instance_exists(paths)) return no_instance(paths, "there is no instance in");
  if (line.watch) return watch_state(paths, line.glob);
  const auto view = open_view(paths);
  if (!view->has_store()) return no_instance(paths, "no instance was ever started in");
  const Status done = line.json ? dump_json(*view, line) : dump_tables(*view, line);
  say_trouble(*view);
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!written) std::fprintf(stderr, "dumpstate: the output can't be written\n");
  if (!done) std::fprintf(stderr, "dumpstate: %s\n", printable(done.error().text()).c_str());
  return written && done ? kToolDone : kToolFailed;
}

int run(int argc, char** argv) {
  CLI::App app{"Shows the state of an instance of Lefting.", "dumpstate"};
  CommandLine line;
  app.set_version_flag("--version", "lefting " LEFTING_VERSION);
  app.add_option("section", line.section,
                 "summary, files, peers, tickets, roles; conflicts: the versions that lost one and "
                 "were kept; unsynced: what is not in sync, and why")
      ->check(CLI::IsMember(
          {"summary", "files", "peers", "tickets", "roles", "conflicts", "unsynced"}));
  app.add_option("--state", line.state, "the instance's folder");
  app.add_option("--path", line.glob, "only files and tickets whose path is like that (*.txt)");
  auto* json = app.add_flag("--json", line.json, "for programs");
  app.add_flag("--watch", line.watch, "again every second, until Ctrl-C")->excludes(json);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kToolDone : kToolUsage;
  }
  return dump(line);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dumpstate: %s\n", error.what());
    return kToolFailed;
  }
}
