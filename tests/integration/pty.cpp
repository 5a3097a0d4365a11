#include "tests/integration/pty.h"

#include <fcntl.h>
#include <pty.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <csignal>
#include <stdexcept>

#include "common/base/clock.h"
#include "common/base/os.h"
#include "tests/integration/wait.h"

namespace lefting::test {

namespace {

constexpr Seconds kLimit{20};

winsize size_of(int rows, int columns) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  return size;
}

}  // namespace

PtyProgram::PtyProgram(const std::string& program, const std::vector<std::string>& arguments,
                       int rows, int columns) {
  int master = -1;
  int slave = -1;
  char name[64] = {};
  winsize size = size_of(rows, columns);
  if (::openpty(&master, &slave, name, nullptr, &size) != 0) throw std::runtime_error{"openpty"};
  master_.reset(master);
  const UniqueFd held{slave};  // until the program has it open
  ::fcntl(master, F_SETFD, FD_CLOEXEC);
  ::fcntl(slave, F_SETFD, FD_CLOEXEC);

  const std::string path = std::string{LEFTING_BIN_DIR} + "/" + program;
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string term = "TERM=xterm";
  char* environment[] = {term.data(), nullptr};

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // The first terminal that the leader of a session opens becomes its own.
  posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, 0, 2);
  const int error =
      ::posix_spawn(&pid_, path.c_str(), &actions, &attributes, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw std::runtime_error{"can't start " + path};
}

PtyProgram::~PtyProgram() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  retry_eintr([&] { return ::waitpid(pid_, nullptr, 0); });
}

std::string PtyProgram::frame() const {
  const std::size_t end = output_.rfind("\x1b[J");
  if (end == std::string::npos) return {};
  const std::size_t begin = output_.rfind("\x1b[H", end);
  return begin == std::string::npos ? std::string{} : output_.substr(begin, end + 3 - begin);
}

bool PtyProgram::read_some(int timeout_ms) {
  pollfd readable{.fd = master_.get(), .events = POLLIN, .revents = 0};
  if (poll_fds({&readable, 1}, timeout_ms) == 0) return true;
  char buffer[65536];
  const ssize_t n = retry_eintr([&] { return ::read(master_.get(), buffer, sizeof buffer); });
  at_end_ = n <= 0;  // EIO: nobody has the terminal open any more
  if (!at_end_) output_.append(buffer, static_cast<std::size_t>(n));
  return !at_end_;
}

bool PtyProgram::read_until(const std::function<bool()>& holds) {
  const Deadline deadline = deadline_in(kLimit);
  while (!holds()) {
    if (poll_timeout(deadline) == 0 || !read_some(poll_timeout(deadline))) return holds();
  }
  return true;
}

bool PtyProgram::shows(const std::string& text) {
  const std::size_t before = output_.size();
  return read_until([&] {
    return output_.rfind("\x1b[J") != std::string::npos && output_.rfind("\x1b[J") > before &&
           frame().find(text) != std::string::npos;
  });
}

bool PtyProgram::stops() {
  return eventually([this] {
    siginfo_t info{};
    const int done = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG);
    return done == 0 && info.si_pid == pid_;
  });
}

void PtyProgram::type(const std::string& keys) {
  static_cast<void>(write_all(master_.get(), std::as_bytes(std::span{keys})).ok());
}

void PtyProgram::resize(int rows, int columns) {
  const winsize size = size_of(rows, columns);
  ::ioctl(master_.get(), TIOCSWINSZ, &size);
}

int PtyProgram::end() {
  if (!read_until([this] { return at_end_; })) return -1;
  const UniqueFd process = open_pidfd(pid_);
  pollfd gone{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (poll_fds({&gone, 1}, 20000) == 0) return -1;
  int status = 0;
  retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
  reaped_ = true;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace lefting::test
