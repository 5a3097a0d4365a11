#include <algorithm>
#include <cstdio>
#include <optional>

#include "common/base/log.h"
#include "supervisor/commands.h"
#include "supervisor/log_files.h"
#include "supervisor/log_follower.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

int logs_command(const InstancePaths& paths, const std::string& program, std::size_t lines,
                 bool follow) {
  if (!instance_exists(paths)) return not_running(paths);
  std::vector<std::string> programs = logged_programs(paths);
  if (!program.empty()) {
    if (!std::ranges::count(programs, program)) {
      return fail(plain_error("logs", "there is no log of \"" + program + "\" in " + paths.logs(),
                              "leave the name out to see all"));
    }
    programs = {program};
  }
  const auto print = [](const std::string& line) { std::puts(printable(line).c_str()); };
  // Watched from before the last lines are read, so that none is missed in between.
  std::optional<LogFollower> follower;
  if (follow) follower.emplace(paths, program);
  std::vector<std::vector<std::string>> logs;
  for (const std::string& one : programs) logs.push_back(last_log_lines(paths, one, lines));
  for (const std::string& line : merge_logs(std::move(logs), lines)) print(line);
  while (follower) {
    std::fflush(stdout);
    follower->wait(-1, print);
  }
  return kToolDone;
}

}  // namespace lefting::supervisor
