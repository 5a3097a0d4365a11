#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/settings.h"

namespace lefting::supervisor {

/// An exit code of `supervisor` and `dumpstate`.
enum ToolExit : int { kToolDone = 0, kToolFailed = 1, kToolUsage = 2, kToolNotRunning = 3 };

/// One line on stderr that says what failed; returns kToolFailed.
int fail(const Error& error);
/// Says that no such instance runs; returns kToolNotRunning.
int not_running(const InstancePaths& paths);

class View;
/// Says on stderr what the view could not get; mostly nothing.
void say_trouble(View& view);

/// The subcommands. Each returns an exit code, having said on stderr what failed.
int stop_command(const InstancePaths& paths);
int status_command(const InstancePaths& paths, bool json);
int restart_command(const InstancePaths& paths, const std::vector<std::string>& roles);
int rescan_command(const InstancePaths& paths);
/// `peer`: device ID, address or name; empty: all.
int hello_command(const InstancePaths& paths, const std::string& peer);
int id_command(const InstancePaths& paths);

/// The last `lines` of one program's log, or of all as one; with `follow` what comes then, too.
int logs_command(const InstancePaths& paths, const std::string& program, std::size_t lines,
                 bool follow);

/// Approves the deletions that are held back, or has the files fetched again.
int deletes_command(const InstancePaths& paths, bool approve);

int trash_list_command(const InstancePaths& paths, bool json);
int trash_empty_command(const InstancePaths& paths);
/// Puts back what stood at `path`, or below it, last; `at`: what went at that time, or a part of
/// it.
int restore_command(const InstancePaths& paths, const std::string& path, const std::string& at);

int peer_add_command(const InstancePaths& paths, const std::string& spec);
int peer_remove_command(const InstancePaths& paths, const std::string& name);
int peer_list_command(const InstancePaths& paths, bool json);

}  // namespace lefting::supervisor
