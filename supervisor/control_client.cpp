#include "supervisor/control_client.h"

#include <array>

#include "common/base/os.h"
#include "common/wire/frame.h"
#include "supervisor/control_socket.h"

namespace lefting::supervisor {

Result<std::optional<ControlClient>> ControlClient::connect(const InstancePaths& paths) {
  auto fd = connect_control(paths);
  if (!fd) return fd.error();
  if (!fd.value()) return std::optional<ControlClient>{};
  const auto listener = peer_credentials(fd.value()->get());
  return std::optional<ControlClient>{
      ControlClient{std::move(*fd.take()), listener ? listener->pid : 0}};
}

Result<ControlClient::Answer> ControlClient::ask(const ControlRequest& request,
                                                 std::optional<milliseconds> wait) {
  // A request is smaller than a socket's buffer, and there is never more than one in it.
  const auto frame = wire::encode_frame(encode_request(request));
  if (send_with_fds(fd_.get(), frame, {}) != static_cast<ssize_t>(frame.size())) {
    return os_error(errno, "ask the supervisor for", request.operation);
  }
  Answer answer;
  const auto header = receive_header(wait, answer.fds);
  if (!header) return header.error();
  auto reply = decode_reply(header.value());
  if (!reply) return reply.error();
  answer.reply = reply.take();
  if (!answer.reply.error.empty()) return plain_error(request.operation, answer.reply.error);
  return answer;
}

Result<std::string> ControlClient::receive_header(std::optional<milliseconds> wait,
                                                  std::vector<UniqueFd>& fds) {
  const std::string who = "supervisor (pid " + std::to_string(pid_) + ")";
  const Deadline deadline = deadline_in(wait.value_or(milliseconds{0}));
  std::vector<std::byte> bytes;
  for (;;) {
    std::span<const std::byte> rest{bytes};
    const auto frame = wire::take_frame(rest);
    if (!frame) return frame.error();
    if (frame.value()) return std::string{frame.value()->header};
    pollfd event{fd_.get(), POLLIN, 0};
    const int timeout_ms = wait ? poll_timeout(deadline) : -1;
    if (poll_fds({&event, 1}, timeout_ms) == 0) {
      if (!wait || poll_timeout(deadline) > 0) continue;  // a signal
      return plain_error(who, "it doesn't answer", "see `supervisor logs supervisor`, or kill it");
    }
    std::array<std::byte, 4096> buffer;
    const ssize_t n = receive_with_fds(fd_.get(), buffer, fds);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return plain_error(who, "it has ended", "see `supervisor logs supervisor`");
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + n);
  }
}

}  // namespace lefting::supervisor
