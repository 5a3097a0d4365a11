#include "supervisor/instance_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

#include <system_error>

#include "supervisor/control_socket.h"

namespace lefting::supervisor {

namespace {

/// While it lives, blocking calls end with EINTR every 0.2 s. Not one alarm but many, so that one
/// that comes just before the call does no harm.
class Ticks {
 public:
  Ticks() {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // and no SA_RESTART
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval every{{0, 200000}, {0, 200000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  ~Ticks() {
    const itimerval none{};
    ::setitimer(ITIMER_REAL, &none, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }
  Ticks(const Ticks&) = delete;
  Ticks& operator=(const Ticks&) = delete;

 private:
  struct sigaction before_ {};
};

/// The pid of the supervisor that answers at the control socket; 0: none.
pid_t running_pid(const InstancePaths& paths) {
  const auto fd = connect_control(paths);
  if (!fd || !fd.value()) return 0;
  const auto listener = peer_credentials(fd.value()->get());
  return listener ? listener->pid : 0;
}

Error running_error(pid_t pid) {
  return plain_error("start", "this instance is already running (pid " + std::to_string(pid) + ")",
                     "stop it with `supervisor stop`, or choose another with --state DIR");
}

}  // namespace

Result<UniqueFd> lock_instance(const InstancePaths& paths, milliseconds wait) {
  UniqueFd fd{::open(paths.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!fd) return os_error(errno, "open", paths.lock());
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  const Deadline deadline = deadline_in(wait);
  const Ticks ticks;
  for (;;) {
    // Nobody answers while another supervisor starts or stops, or is dead and its roles leave.
    if (const pid_t pid = running_pid(paths); pid != 0) return running_error(pid);
    if (poll_timeout(deadline) == 0) {
      return plain_error("start", "programs of this instance still hold " + paths.lock(),
                         "`fuser " + paths.lock() + "` says which; stop them, then start again");
    }
    if (::flock(fd.get(), LOCK_EX) == 0) return fd;
    if (errno != EINTR) return os_error(errno, "lock", paths.lock());
  }
}

}  // namespace lefting::supervisor
