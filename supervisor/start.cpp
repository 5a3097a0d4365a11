#include "supervisor/start.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <optional>

#include "common/base/log.h"
#include "common/base/os.h"
#include "supervisor/loop.h"
#include "supervisor/prepare.h"

namespace lefting::supervisor {

namespace {

/// What the starting process says first to the one that called it: it runs.
constexpr char kGood = '+';
constexpr char kBad = '-';

/// What a caller may have set, and what would break waiting for children and for signals.
void reset_process() {
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::signal(signal, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

/// A session of its own, nothing of the caller's terminal or folder.
void become_daemon() {
  ::setsid();
  const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

/// Runs the instance from start to stop in this process. Returns the exit code.
int supervise(const InstancePaths& paths, const Settings& settings, const StartOptions& options,
              const Supervisor::Report& report) {
  reset_process();
  try {
    auto prepared = prepare_instance(paths, settings, options.rebuild);
    if (!prepared) {
      report(false, prepared.error().text());
      return 1;
    }
    block_stop_signals();
    // A folder that is only where the user happened to be must not be kept from being unmounted.
    if (!options.foreground && ::chdir("/") != 0) log_warning("can't leave the current folder");
    Supervisor supervisor{prepared.take(), options.foreground, report};
    return supervisor.run();
  } catch (const std::exception& error) {
    log_error("{}", error.what());
    report(false, error.what());
    return 1;
  }
}

int start_in_foreground(const InstancePaths& paths, const Settings& settings,
                        const StartOptions& options) {
  return supervise(paths, settings, options, [](bool good, const std::string& line) {
    std::fprintf(good ? stdout : stderr, "supervisor: %s\n", line.c_str());
    std::fflush(stdout);
  });
}

/// Waits for the outcome of the start and passes it on.
int await_start(pid_t pid, const UniqueFd& reports) {
  std::string text;
  std::array<char, 512> buffer;
  for (;;) {
    const ssize_t n =
        retry_eintr([&] { return ::read(reports.get(), buffer.data(), buffer.size()); });
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  if (!text.empty() && text[0] == kGood) {
    std::printf("supervisor: %s\n", text.c_str() + 1);
    return 0;
  }
  // A failed start must leave nothing behind when it returns.
  retry_eintr([&] { return ::waitpid(pid, nullptr, 0); });
  if (text.empty()) text = "-start: the supervisor has ended unexpectedly; see its log";
  std::fprintf(stderr, "supervisor: %s\n", text.c_str() + 1);
  return 1;
}

}  // namespace

int start_command(const InstancePaths& paths, const Settings& settings,
                  const StartOptions& options) {
  // Whatever a caller left open would stay open in every program of the instance.
  ::close_range(3, ~0U, 0);
  if (options.foreground) return start_in_foreground(paths, settings, options);
  std::optional<Pipe> reports = make_pipe();
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid > 0) {
    reports->write_end.reset();
    return await_start(pid, reports->read_end);
  }
  become_daemon();
  reports->read_end.reset();
  return supervise(paths, settings, options, [&](bool good, const std::string& line) {
    if (!reports) return;
    const std::string text = (good ? kGood : kBad) + line;
    // If nobody reads it any more, the caller is gone, and the log has it too.
    static_cast<void>(write_all(reports->write_end.get(), std::as_bytes(std::span{text})));
    reports.reset();
  });
}

}  // namespace lefting::supervisor
