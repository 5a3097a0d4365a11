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
  /// One request and its answer. `wait` nothing: as long as it takes. While the answer to an
  /// earlier request is missing this waits for that one, and sends nothing before it is here.
  /// Errors: what the supervisor says, that it doesn't answer, or that it is gone.
  Result<Answer> ask(const ControlRequest& request, std::optional<milliseconds> wait);

  /// After an error of ask(): true if the answer may still come, so that asking again makes sense.
  bool may_answer() const;

 private:
  using Until = std::optional<Deadline>;
  ControlClient(UniqueFd fd, pid_t pid) : fd_{std::move(fd)}, pid_{pid} {}
  Result<std::string> receive_header(const Until& until, std::vector<UniqueFd>& fds);
  Status receive_more(const Until& until, std::vector<UniqueFd>& fds);

  UniqueFd fd_;
  pid_t pid_;
  bool owed_ = false;  ///< a request was sent, and its answer has not come
  std::vector<std::byte> received_;
};

/// For requests that are answered at once.
inline constexpr milliseconds kPromptly{10000};

}  // namespace lefting::supervisor
