#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/settings.h"
#include "common/base/unique_fd.h"
#include "supervisor/control_messages.h"

namespace lefting::supervisor {

/// A call to the supervisor of an instance, by one of its tools.
class ControlClient {
 public:
  /// Nothing where no supervisor runs.
  static Result<std::optional<ControlClient>> connect(const InstancePaths& paths);

  /// The supervisor's.
  pid_t pid() const { return pid_; }

  struct Answer {
    ControlReply reply;
    std::vector<UniqueFd> fds;  ///< of attach: kAttachedFds of them
  };
  /// One request and its answer. `wait` nothing: as long as it takes.
  /// Errors: what the supervisor says, that it doesn't answer, or that it is gone.
  Result<Answer> ask(const ControlRequest& request, std::optional<milliseconds> wait);

 private:
  ControlClient(UniqueFd fd, pid_t pid) : fd_{std::move(fd)}, pid_{pid} {}
  Result<std::string> receive_header(std::optional<milliseconds> wait, std::vector<UniqueFd>& fds);

  UniqueFd fd_;
  pid_t pid_;
};

/// For requests that are answered at once.
inline constexpr milliseconds kPromptly{10000};

}  // namespace lefting::supervisor
