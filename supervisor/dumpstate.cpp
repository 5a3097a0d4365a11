// dumpstate: shows all that an instance knows, to people and to programs.
//
// Reads     the segment of a running instance, which its supervisor hands over; else the store.
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

struct CommandLine {
  std::string state;
  std::string section;
  std::string glob;
  bool json = false;
  bool watch = false;
};

void dump_json(View& view, const CommandLine& line) {
  if (line.section.empty()) write_state_json(stdout, view, line.glob);
  if (line.section == "summary") write_summary_json(stdout, view);
  if (line.section == "roles") write_roles_json(stdout, view);
  if (line.section == "peers") write_peers_json(stdout, view.peers());
  if (line.section == "tickets") write_tickets_json(stdout, view, line.glob);
  if (line.section == "files") write_files_json(stdout, view, line.glob);
}

void dump_tables(View& view, const CommandLine& line) {
  std::vector<std::string> lines;
  if (line.section.empty() || line.section == "summary") lines = overview_lines(view, line.glob);
  if (line.section == "roles") lines = role_lines(view);
  if (line.section == "peers") lines = peer_lines(view.peers());
  if (line.section == "tickets") lines = ticket_lines(view, line.glob, SIZE_MAX);
  for (const std::string& one : lines) std::puts(one.c_str());
  if (line.section == "files") print_files(stdout, view, line.glob);
}

std::unique_ptr<View> open_view(const InstancePaths& paths) {
  auto view = View::open(paths);
  if (view) return view.take();
  std::fprintf(stderr, "dumpstate: %s; this is what the store has\n", view.error().text().c_str());
  return View::open_store(paths);
}

int dump(const CommandLine& line) {
  const InstancePaths paths = instance_paths(line.state);
  if (!instance_exists(paths)) {
    std::fprintf(stderr, "dumpstate: there is no instance in %s; name it with --state DIR\n",
                 printable(paths.dir).c_str());
    return kToolNotRunning;
  }
  if (line.watch) return watch_state(paths, line.glob);
  const auto view = open_view(paths);
  if (line.json) {
    dump_json(*view, line);
  } else {
    dump_tables(*view, line);
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return kToolDone;
  std::fprintf(stderr, "dumpstate: the output can't be written\n");
  return kToolFailed;
}

int run(int argc, char** argv) {
  CLI::App app{"Shows the state of an instance of Lefting.", "dumpstate"};
  CommandLine line;
  app.set_version_flag("--version", "lefting " LEFTING_VERSION);
  app.add_option("section", line.section, "summary, files, peers, tickets or roles")
      ->check(CLI::IsMember({"summary", "files", "peers", "tickets", "roles"}));
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
