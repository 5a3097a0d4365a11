#include "supervisor/log_follower.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>
#include <system_error>

#include "common/base/os.h"
#include "supervisor/log_files.h"

namespace lefting::supervisor {

LogFollower::LogFollower(const InstancePaths& paths, std::string program)
    : paths_{paths},
      program_{std::move(program)},
      inotify_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)} {
  constexpr auto kMask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM;
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), paths_.logs().c_str(), kMask) < 0) {
    throw std::system_error(errno, std::generic_category(), "watch " + paths_.logs());
  }
  look(false, [](const std::string&) {});
}

void LogFollower::wait(int timeout_ms, const Emit& emit) {
  pollfd event{inotify_.get(), POLLIN, 0};
  if (poll_fds({&event, 1}, timeout_ms) == 0) return;
  // Which file it was does not matter: there are few, and looking costs a stat.
  std::array<char, 4096> events;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) {
  }
  look(true, emit);
}

void LogFollower::look(bool from_start, const Emit& emit) {
  for (const std::string& program : logged_programs(paths_)) {
    if (!program_.empty() && program != program_) continue;
    File& file = files_[program];
    read_new(file, emit);
    // The name stands for another file once the old one was rotated away, after its last line.
    const std::string path = paths_.log(program);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || (file.fd && info.st_ino == file.inode)) continue;
    read_new(file, emit);
    if (!open(file, path)) continue;
    if (from_start) {
      read_new(file, emit);
    } else {
      ::lseek(file.fd.get(), 0, SEEK_END);
    }
  }
}

bool LogFollower::open(File& file, const std::string& path) const {
  file.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file.fd || ::fstat(file.fd.get(), &info) != 0) return false;
  file.inode = info.st_ino;
  file.partial.clear();
  return true;
}

void LogFollower::read_new(File& file, const Emit& emit) const {
  if (!file.fd) return;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n =
        retry_eintr([&] { return ::read(file.fd.get(), buffer.data(), buffer.size()); });
    if (n <= 0) return;
    file.partial.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t at = 0;
    for (auto end = file.partial.find('\n'); end != file.partial.npos;
         end = file.partial.find('\n', at)) {
      emit(file.partial.substr(at, end - at));
      at = end + 1;
    }
    file.partial.erase(0, at);
  }
}

}  // namespace lefting::supervisor
