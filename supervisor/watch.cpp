#include "supervisor/watch.h"

#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>

#include "common/base/log.h"
#include "common/base/os.h"
#include "supervisor/commands.h"
#include "supervisor/frame_maker.h"
#include "supervisor/screen.h"
#include "supervisor/view_keeper.h"

namespace lefting::supervisor {

namespace {

constexpr milliseconds kPeriod{1000};

/// The signals that a watch takes, as a descriptor. They stay blocked.
class Signals {
 public:
  Signals() {
    sigset_t taken;
    sigemptyset(&taken);
    for (const int one : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) {
      sigaddset(&taken, one);
    }
    ::pthread_sigmask(SIG_BLOCK, &taken, nullptr);
    fd_.reset(::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_) throw std::system_error(errno, std::generic_category(), "signalfd");
  }

  /// The next one that comes until then; nothing if none did.
  std::optional<int> next(Deadline until) const {
    pollfd event{fd_.get(), POLLIN, 0};
    signalfd_siginfo info{};
    for (;;) {
      const int timeout_ms = poll_timeout(until);
      poll_fds({&event, 1}, timeout_ms);
      if (::read(fd_.get(), &info, sizeof info) == sizeof info) {
        return static_cast<int>(info.ssi_signo);
      }
      if (timeout_ms == 0) return std::nullopt;
    }
  }

 private:
  UniqueFd fd_;
};

/// Ctrl-Z: the shell gets its screen, and sleeps nobody holds a lock.
void stop_for_a_while(const Screen& screen) {
  screen.leave();
  ::raise(SIGSTOP);
  screen.enter();
}

std::vector<std::string> lines_of(ViewKeeper& keeper, FrameMaker& frames, std::size_t rows) {
  try {
    View& view = keeper.look();
    return frame_lines(frames.make(view, keeper.state()), rows);
  } catch (const store::StoreError& error) {
    return {printable(error.what())};
  }
}

}  // namespace

int watch_state(const InstancePaths& paths, const std::string& glob) {
  const Signals signals;
  const Screen screen;
  ViewKeeper keeper{paths};
  FrameMaker frames{glob};
  for (;;) {
    const Deadline next = deadline_in(kPeriod);
    if (!screen.draw(lines_of(keeper, frames, screen.rows()))) return kToolFailed;
    const auto signal = signals.next(next);
    if (!signal || *signal == SIGWINCH) continue;
    if (*signal != SIGTSTP) return kToolDone;
    stop_for_a_while(screen);
  }
}

}  // namespace lefting::supervisor
