#pragma once

#include <poll.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace lefting {

/// Calls `call` again while a signal interrupts it.
template <class Call>
auto retry_eintr(Call&& call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

Status write_all(int fd, std::span<const std::byte> bytes);
Status pwrite_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset);
/// Reads until `bytes` is full or the file ends. Returns how many bytes came.
Result<std::size_t> pread_all(int fd, std::span<std::byte> bytes, std::uint64_t offset);
/// The whole of a small file.
Result<std::string> read_file(const std::string& path);
/// Replaces a small file so that its name never stands for half of it: temporary, fsync, rename.
Status write_file(const std::string& path, std::string_view content, unsigned mode);

/// Tells one run of this machine from the next; empty where the kernel doesn't say.
std::string boot_id();
/// What the system has still to write to its disks; nothing where it does not say.
std::optional<std::uint64_t> dirty_bytes();

/// Waits until one of `fds` has an event or `timeout_ms` (-1: for ever) has passed.
/// Returns how many have one. EINTR counts as a time-out.
int poll_fds(std::span<pollfd> fds, int timeout_ms);

/// A wake-up that costs one counter: made by the supervisor, inherited by the roles.
class EventFd {
 public:
  EventFd();  // throws std::system_error
  explicit EventFd(UniqueFd fd) : fd_{std::move(fd)} {}
  int fd() const { return fd_.get(); }
  void signal() const;
  /// Takes all signals that came; true if there was one.
  bool drain() const;

 private:
  UniqueFd fd_;
};

/// Readable when the process has ended. Empty, with errno set, where there is none.
UniqueFd open_pidfd(int pid);

/// A pipe, both ends close-on-exec. Throws std::system_error.
struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
Pipe make_pipe();

}  // namespace lefting
