#include "common/base/os.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

namespace lefting {

Status write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = retry_eintr([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0) return os_error(errno, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status pwrite_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = retry_eintr(
        [&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return os_error(errno, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<std::size_t> pread_all(int fd, std::span<std::byte> bytes, std::uint64_t offset) {
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = retry_eintr([&] {
      return ::pread(fd, bytes.data() + have, bytes.size() - have,
                     static_cast<off_t>(offset + have));
    });
    if (n < 0) return os_error(errno, "read");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have;
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return os_error(errno, "open", path);
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t n = retry_eintr([&] { return ::read(fd.get(), buffer, sizeof buffer); });
    if (n < 0) return os_error(errno, "read", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

Status write_file(const std::string& path, std::string_view content, unsigned mode) {
  const std::string temporary = path + ".new";
  const UniqueFd fd{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                           static_cast<mode_t>(mode))};
  if (!fd) return os_error(errno, "create", temporary);
  if (auto done = write_all(fd.get(), std::as_bytes(std::span{content})); !done) {
    return os_error(done.error().code.value(), "write", temporary);
  }
  if (::fsync(fd.get()) != 0) return os_error(errno, "fsync", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return os_error(errno, "rename", temporary);
  return {};
}

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id");
  return text.ok() ? text.take().substr(0, 36) : std::string{};
}

std::optional<std::uint64_t> dirty_bytes() {
  const auto text = read_file("/proc/meminfo");
  if (!text) return std::nullopt;
  std::uint64_t sum = 0;
  for (const std::string_view name : {"\nDirty:", "\nWriteback:"}) {
    const auto at = text.value().find(name);
    if (at == std::string::npos) return std::nullopt;
    sum += std::strtoull(text.value().c_str() + at + name.size(), nullptr, 10) << 10;
  }
  return sum;
}

int poll_fds(std::span<pollfd> fds, int timeout_ms) {
  const int n = ::poll(fds.data(), fds.size(), timeout_ms);
  if (n < 0) {
    for (pollfd& fd : fds) fd.revents = 0;
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
    return 0;
  }
  return n;
}

EventFd::EventFd() : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void EventFd::signal() const {
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full: a wake-up is pending, which is all that is wanted.
  [[maybe_unused]] const ssize_t n = ::write(fd_.get(), &one, sizeof one);
}

bool EventFd::drain() const {
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

UniqueFd open_pidfd(int pid) {
  // glibc 2.36 declares pidfd_open without extern "C".
  return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

}  // namespace lefting
