#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/settings.h"

namespace lefting::supervisor {

/// The programs that have a log in the instance folder.
std::vector<std::string> logged_programs(const InstancePaths& paths);

/// The last `most` lines of a program's log, the rotated files included; oldest first.
std::vector<std::string> last_log_lines(const InstancePaths& paths, std::string_view program,
                                        std::size_t most);
/// The last line alone; empty where there is none.
std::string last_log_line(const InstancePaths& paths, std::string_view program);

/// The logs as one, by the time in front of each line; a line without one stays behind the line
/// before it. Only the last `most` are given.
std::vector<std::string> merge_logs(std::vector<std::vector<std::string>> logs, std::size_t most);

}  // namespace lefting::supervisor
