#include "supervisor/child.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/os.h"
#include "common/role/inherited.h"

namespace lefting::supervisor {

namespace {

/// Above every number of the contract, so that no source is overwritten before it is copied.
constexpr int kFirstSafeFd = 20;

/// The list of what posix_spawn does to descriptors before the program begins.
class FileActions {
 public:
  FileActions() { check(::posix_spawn_file_actions_init(&actions_)); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  /// `source` shall be `target` there; -1: `target` shall be closed.
  void give(int source, int target) {
    if (source < 0) return check(::posix_spawn_file_actions_addclose(&actions_, target));
    UniqueFd safe{::fcntl(source, F_DUPFD_CLOEXEC, kFirstSafeFd)};
    if (!safe) check(errno);
    check(::posix_spawn_file_actions_adddup2(&actions_, safe.get(), target));
    sources_.push_back(std::move(safe));
  }
  void no_input() {
    check(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  }
  /// spdlog opens its files without close-on-exec.
  void close_from(int first) {
    check(::posix_spawn_file_actions_addclosefrom_np(&actions_, first));
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  static void check(int error) {
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
  }
  posix_spawn_file_actions_t actions_{};
  std::vector<UniqueFd> sources_;
};

/// A session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone; no signal
/// blocked, none ignored.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> child_environment(std::uint64_t generation) {
  const std::string variable = fmt::format("{}=", kGenerationVariable);
  std::vector<std::string> out{fmt::format("{}{}", variable, generation)};
  for (char** one = ::environ; *one != nullptr; ++one) {
    if (!std::string_view{*one}.starts_with(variable)) out.emplace_back(*one);
  }
  return out;
}

}  // namespace

Result<Child> Child::spawn(const ChildPlan& plan) {
  Pipe lifeline = make_pipe();
  Pipe ready = make_pipe();
  ::fcntl(ready.read_end.get(), F_SETFL, O_NONBLOCK);
  FileActions actions;
  actions.no_input();
  actions.give(plan.segment, kSegmentFd);
  actions.give(lifeline.read_end.get(), kLifelineFd);
  actions.give(ready.write_end.get(), kReadyFd);
  actions.give(plan.wake_scanner, kWakeScannerFd);
  actions.give(plan.wake_listener, kWakeListenerFd);
  actions.give(plan.wake_downloader, kWakeDownloaderFd);
  actions.give(plan.wake_supervisor, kWakeSupervisorFd);
  actions.give(plan.lock, kLockFd);
  actions.give(plan.listen, kListenFd);
  actions.close_from(kListenFd + 1);

  std::vector<std::string> arguments = plan.arguments;
  std::vector<std::string> environment = child_environment(plan.generation);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, plan.program.c_str(), actions.get(), SpawnAttributes{}.get(),
                    pointers(arguments).data(), pointers(environment).data());
  if (error != 0) return os_error(error, "start", plan.program, "install Lefting's programs");
  // Nobody else reaps, so the pid can't have been given to another process yet.
  Child child{pid, open_pidfd(pid), std::move(lifeline.write_end), std::move(ready.read_end)};
  if (!child.pidfd_) return os_error(errno, "pidfd_open", plan.program);
  return child;
}

Child::Child(pid_t pid, UniqueFd pidfd, UniqueFd lifeline, UniqueFd ready)
    : pid_{pid},
      pidfd_{std::move(pidfd)},
      lifeline_{std::move(lifeline)},
      ready_{std::move(ready)} {}

Child::Child(Child&& other) noexcept
    : pid_{std::exchange(other.pid_, 0)},
      pidfd_{std::move(other.pidfd_)},
      lifeline_{std::move(other.lifeline_)},
      ready_{std::move(other.ready_)},
      kill_at_ms_{other.kill_at_ms_} {}

Child::~Child() {
  if (pid_ == 0) return;
  kill();
  retry_eintr([&] { return ::waitpid(pid_, nullptr, 0); });
}

void Child::watch(PollSet& polls) const {
  polls.watch(pidfd_.get(), POLLIN);
  if (ready_) polls.watch(ready_.get(), POLLIN);
}

bool Child::take_ready(const PollSet& polls) {
  if (!ready_ || polls.events(ready_.get()) == 0) return false;
  char byte = 0;
  const ssize_t n = ::read(ready_.get(), &byte, 1);
  if (n < 0) return false;
  ready_.reset();
  return n == 1 && byte == '\n';
}

std::optional<int> Child::try_reap(const PollSet& polls) {
  if (polls.events(pidfd_.get()) == 0) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void Child::ask_to_leave(std::uint64_t kill_at_ms) {
  if (leaving()) return;
  lifeline_.reset();
  kill_at_ms_ = kill_at_ms;
}

void Child::kill_if_due(std::uint64_t now_ms) {
  if (now_ms < kill_at_ms_) return;
  kill();
  kill_at_ms_ = kNever - 1;  // still leaving, nothing more to do
}

void Child::kill() {
  if (pid_ != 0) ::kill(pid_, SIGKILL);
}

}  // namespace lefting::supervisor
