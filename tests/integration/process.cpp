#include "tests/integration/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "common/base/clock.h"
#include "common/base/os.h"

extern char** environ;

namespace lefting::test {

namespace {

/// Reads both pipes until they end or the deadline passes. False: it passed.
bool read_all(const UniqueFd& out_fd, const UniqueFd& err_fd, Ended& ended) {
  const Deadline deadline = deadline_in(std::chrono::seconds{60});
  std::array<pollfd, 2> fds = {pollfd{.fd = out_fd.get(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = err_fd.get(), .events = POLLIN, .revents = 0}};
  std::string* texts[2] = {&ended.out, &ended.err};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll_fds(fds, poll_timeout(deadline)) == 0 && poll_timeout(deadline) == 0) return false;
    for (std::size_t i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t n = ::read(fds[i].fd, buffer, sizeof buffer);
      if (n <= 0) {
        fds[i].fd = -1;
      } else {
        texts[i]->append(buffer, static_cast<std::size_t>(n));
      }
    }
  }
  return true;
}

/// Of the abstract names, which leave no file behind. Nothing where another has it.
UniqueFd take_name(const std::string& name) {
  UniqueFd holder{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  return ::bind(holder.get(), raw, bytes) == 0 ? std::move(holder) : UniqueFd{};
}

}  // namespace

Ended run(const std::string& program, const std::vector<std::string>& arguments) {
  const std::string path = std::string{LEFTING_BIN_DIR} + "/" + program;
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  Pipe out = make_pipe();
  Pipe err = make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.write_end.get(), 2);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error{"can't start " + path};
  out.write_end.reset();
  err.write_end.reset();

  Ended ended;
  const bool in_time = read_all(out.read_end, err.read_end, ended);
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  retry_eintr([&] { return ::waitpid(pid, &status, 0); });
  if (!in_time) return ended;
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

std::vector<int> pids_with(const std::string& text) {
  std::vector<int> pids;
  for (const auto& item : std::filesystem::directory_iterator{"/proc"}) {
    const std::string name = item.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    auto words = read_file(item.path() / "cmdline");
    if (!words) continue;  // it has just ended
    std::string line = words.take();
    for (char& c : line) {
      if (c == '\0') c = ' ';
    }
    if (line.find(text) != std::string::npos) pids.push_back(std::stoi(name));
  }
  return pids;
}

void send_signal(int pid, int signal) {
  const UniqueFd process = open_pidfd(pid);
  if (!process) return;
  ::kill(pid, signal);
  if (signal != SIGKILL) return;
  pollfd gone{.fd = process.get(), .events = POLLIN, .revents = 0};
  poll_fds({&gone, 1}, 10000);
}

PortLease::PortLease() {
  for (int port = 21100; port < 29000; ++port) {
    UniqueFd lock = take_name("lefting-test-port-" + std::to_string(port));
    if (!lock) continue;
    const UniqueFd probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int yes = 1;
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) continue;
    port_ = port;
    lock_ = std::move(lock);
    return;
  }
  throw std::runtime_error{"no free port"};
}

}  // namespace lefting::test
