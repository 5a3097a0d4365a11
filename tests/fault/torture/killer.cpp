#include "tests/fault/torture/killer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>

#include "common/base/clock.h"
#include "common/base/os.h"
#include "common/state/layout.h"
#include "tests/integration/wait.h"

extern char** environ;

namespace lefting::test {

namespace {

constexpr std::chrono::milliseconds kRecovery{2000};
/// Beyond the allowance of the supervisor a role waits up to a second for its next start.
constexpr std::chrono::milliseconds kAllowance{1000};

/// One of the project's programs, killed and reaped at the latest when this goes.
class Brief {
 public:
  Brief(const std::string& program, std::vector<std::string> arguments) {
    const std::string path = std::string{LEFTING_BIN_DIR} + "/" + program;
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& word : arguments) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {0, 1, 2}) {
      posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    const int error = ::posix_spawn(&pid_, path.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(error == 0);
    pidfd_ = open_pidfd(pid_);
  }
  Brief(const Brief&) = delete;
  Brief& operator=(const Brief&) = delete;
  ~Brief() { static_cast<void>(kill()); }

  int pid() const { return pid_; }
  /// False: it had ended before.
  bool kill() {
    if (pid_ == 0) return false;
    ::kill(pid_, SIGKILL);
    int status = 0;
    retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
    pid_ = 0;
    return WIFSIGNALED(status);
  }
  /// Waits for its end.
  void wait_for_end() {
    pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    REQUIRE(poll_fds({&ended, 1}, 20000) == 1);
    static_cast<void>(kill());
  }

 private:
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

void live_for(std::chrono::microseconds life) {
  const timespec time{.tv_sec = 0, .tv_nsec = life.count() * 1000};
  ::ppoll(nullptr, 0, &time, nullptr);
}

}  // namespace

Killer::Killer(Node& node, std::vector<std::string> peers, std::vector<std::string> settings)
    : node_{node}, peers_{std::move(peers)}, settings_{std::move(settings)} {
  node_.start(peers_, settings_);
  attach();
}

void Killer::attach() {
  auto view = supervisor::View::open(instance_paths(node_.state()), store::Access::write);
  REQUIRE(view.ok());
  view_ = view.take();
  REQUIRE(view_->live());
  before_ = roles();
}

Killer::Roles Killer::roles() const {
  Roles now;
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    const auto& slot = state::role_slot(view_->attached()->segment, static_cast<state::Role>(i));
    now[i] = {slot.pid.load(), slot.restarts.load()};
  }
  return now;
}

bool Killer::all_ready() const {
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    const auto& slot = state::role_slot(view_->attached()->segment, static_cast<state::Role>(i));
    const std::int32_t pid = slot.pid.load();
    // Dead, and the supervisor has not seen it yet.
    if (pid == 0 || pid == victim_) return false;
    if (slot.state.load() != state::RoleState::ready) return false;
  }
  return true;
}

bool Killer::kill_at(state::FaultPoint point, int passes, std::chrono::milliseconds limit,
                     const std::function<void()>& meanwhile) {
  state::FaultWords& words = view_->attached()->segment.layout().fault;
  words.victim.store(0);
  words.passes_left.store(passes);
  words.armed.store(point);
  eventually(
      [&] {
        if (words.victim.load() != 0) return true;
        meanwhile();
        return false;
      },
      limit);
  words.armed.store(state::FaultPoint::none);
  // Who has taken the last pass dies, however long it takes to say so; from now on nobody can.
  const bool died = words.passes_left.exchange(0) <= 0;
  REQUIRE((!died || eventually([&] { return words.victim.load() != 0; }, Seconds{10})));
  victim_ = words.victim.load();
  if (died) count(std::string{state::kFaultPointNames[static_cast<std::size_t>(point)]});
  return died;
}

void Killer::kill_role(std::size_t role) {
  victim_ = before_[role].pid;
  send_signal(victim_, SIGKILL);
  count(std::string{state::kRoleNames[role]});
}

bool Killer::kill_hello(std::chrono::microseconds life) {
  Brief asking{"supervisor", {"hello", "--state", node_.state()}};
  int hello = 0;
  eventually(
      [&] {
        for (const int pid : pids_with("hello --inherited")) {
          const auto mine = node_.pids();
          if (std::find(mine.begin(), mine.end(), pid) != mine.end()) hello = pid;
        }
        return hello != 0;
      },
      std::chrono::milliseconds{300});
  if (hello == 0) return false;
  live_for(life);
  if (::kill(hello, SIGKILL) != 0) return false;
  count("hello");
  return true;
}

bool Killer::kill_dumpstate(std::chrono::microseconds life) {
  Brief dump{"dumpstate", {"--json", "--state", node_.state()}};
  live_for(life);
  if (!dump.kill()) return false;
  count("dumpstate");
  return true;
}

void Killer::kill_supervisor() {
  send_signal(static_cast<int>(view_->instance().pid), SIGKILL);
  count("supervisor");
  view_.reset();
  REQUIRE_MESSAGE(eventually([&] { return node_.pids().empty(); }, Seconds{10}),
                  "the roles stay when their supervisor is gone");
  node_.start(peers_, settings_);
  attach();
}

void Killer::check_recovered() {
  const auto begun = std::chrono::steady_clock::now();
  const bool ready = eventually([&] { return all_ready(); }, kRecovery + kAllowance);
  REQUIRE_MESSAGE(ready, "a role is not ready again in time");
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  slowest_ = std::max(slowest_, took);
  const Roles now = roles();
  std::uint32_t restarts = 0;
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    CAPTURE(state::kRoleNames[i]);
    restarts += now[i].restarts - before_[i].restarts;
    REQUIRE((now[i].pid == before_[i].pid) == (now[i].restarts == before_[i].restarts));
  }
  REQUIRE_MESSAGE(restarts <= kills_, "somebody was started again whom nobody killed\n",
                  node_.supervisor({"logs", "-n", "40"}).out);
  before_ = now;
  victim_ = 0;
  kills_ = 0;
}

}  // namespace lefting::test
