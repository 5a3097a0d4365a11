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
  Until until;
  if (wait) until = deadline_in(*wait);
  if (owed_) {
    std::vector<UniqueFd> unwanted;
    if (auto late = receive_header(until, unwanted); !late) return late.error();
  }
  // A request is smaller than a socket's buffer, and there is never more than one in it.
  const auto frame = wire::encode_frame(encode_request(request));
  if (send_with_fds(fd_.get(), frame, {}) != static_cast<ssize_t>(frame.size())) {
    return os_error(errno, "ask the supervisor for", request.operation);
  }
  owed_ = true;
  Answer answer;
  const auto header = receive_header(until, answer.fds);
  if (!header) return header.error();
  auto reply = decode_reply(header.value());
  if (!reply) return reply.error();
  answer.reply = reply.take();
  if (!answer.reply.error.empty()) return plain_error(request.operation, answer.reply.error);
  return answer;
}

bool ControlClient::may_answer() const {
  pollfd event{fd_.get(), POLLRDHUP, 0};
  return owed_ && poll_fds({&event, 1}, 0) == 0;
}

Result<std::string> ControlClient::receive_header(const Until& until, std::vector<UniqueFd>& fds) {
  for (;;) {
    std::span<const std::byte> rest{received_};
    const auto frame = wire::take_frame(rest);
    owed_ = frame && !frame.value();
    if (!frame) return frame.error();
    if (frame.value()) {
      std::string header{frame.value()->header};
      received_.erase(received_.begin(),
                      received_.end() - static_cast<std::ptrdiff_t>(rest.size()));
      return header;
    }
    if (auto more = receive_more(until, fds); !more) return more.error();
  }
}

Status ControlClient::receive_more(const Until& until, std::vector<UniqueFd>& fds) {
  const std::string who = "supervisor (pid " + std::to_string(pid_) + ")";
  pollfd event{fd_.get(), POLLIN, 0};
  if (poll_fds({&event, 1}, until ? poll_timeout(*until) : -1) == 0) {
    if (!until || poll_timeout(*until) > 0) return {};  // a signal
    return plain_error(who, "it doesn't answer", "see `supervisor logs supervisor`, or kill it");
  }
  std::array<std::byte, 4096> buffer;
  const ssize_t n = receive_with_fds(fd_.get(), buffer, fds);
  if (n < 0 && errno == EAGAIN) return {};
  if (n <= 0) return plain_error(who, "it has ended", "see `supervisor logs supervisor`");
  received_.insert(received_.end(), buffer.begin(), buffer.begin() + n);
  return {};
}

}  // namespace lefting::supervisor
