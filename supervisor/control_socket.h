#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/base/settings.h"
#include "common/base/unique_fd.h"

namespace lefting::supervisor {

/// The control socket's place: DIR/control.sock. Its path may be longer than the 108 bytes that an
/// address takes, so it is named by way of the folder's descriptor.

/// Makes the listening socket (0600, non-blocking), in the place of one that a dead supervisor
/// left. The caller holds the instance's lock.
Result<UniqueFd> listen_control(const InstancePaths& paths);
void remove_control(const InstancePaths& paths);
/// Calls the supervisor; never waits, nor does the socket. Nothing where none runs.
Result<std::optional<UniqueFd>> connect_control(const InstancePaths& paths);

/// Who is at the other end; for a caller this is who listens.
struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
};
std::optional<Credentials> peer_credentials(int fd);

/// Sends what it can of `bytes`, with `fds` attached to the first. Returns how many went, or -1
/// with errno. Never waits, never raises SIGPIPE.
ssize_t send_with_fds(int fd, std::span<const std::byte> bytes, std::span<const int> fds);
/// Takes what is there, at most `into.size()` bytes; adds descriptors that came along to `fds`.
ssize_t receive_with_fds(int fd, std::span<std::byte> into, std::vector<UniqueFd>& fds);

}  // namespace lefting::supervisor
