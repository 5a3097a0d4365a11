#include "supervisor/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/log.h"
#include "common/wire/frame.h"
#include "supervisor/control_socket.h"

namespace lefting::supervisor {

namespace {

constexpr std::size_t kMostConnections = 64;
constexpr std::size_t kMostBytes = wire::kPreambleBytes + wire::kMaxHeaderBytes;

}  // namespace

ControlServer::ControlServer(UniqueFd listening, Handle handle)
    : listening_{std::move(listening)}, handle_{std::move(handle)} {}

void ControlServer::watch(PollSet& polls) const {
  polls.watch(listening_.get(), POLLIN);
  for (const Connection& connection : connections_) {
    // While an answer is being made only the caller's death is of interest, which poll always says.
    short events = connection.pending ? short{0} : short{POLLIN};
    if (!connection.out.empty()) events = POLLOUT;
    polls.watch(connection.fd.get(), events);
  }
}

void ControlServer::handle(const PollSet& polls, std::uint64_t now_ms) {
  for (Connection& connection : connections_) {
    const short events = polls.events(connection.fd.get());
    if (events == 0) continue;
    const bool idle = !connection.pending && connection.out.empty();
    if ((events & POLLOUT) != 0) {
      flush(connection);
      take_request(connection);
    }
    if ((events & POLLIN) != 0 && idle) {
      connection.active_ms = now_ms;
      receive(connection);
    } else if ((events & (POLLHUP | POLLERR)) != 0) {
      connection.dead = true;
    }
  }
  if (polls.events(listening_.get()) != 0) accept_all(now_ms);
  settle();
}

void ControlServer::settle() {
  for (Connection& connection : connections_) {
    while (!connection.dead && connection.pending) {
      auto answer = connection.pending();
      if (!answer) break;
      connection.pending = nullptr;
      connection.out = wire::encode_frame(answer->header);
      connection.out_fds = std::move(answer->fds);
      flush(connection);
      take_request(connection);
    }
  }
  std::erase_if(connections_, [](const Connection& connection) { return connection.dead; });
}

void ControlServer::accept_all(std::uint64_t now_ms) {
  for (;;) {
    UniqueFd fd{::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!fd) return;
    const auto caller = peer_credentials(fd.get());
    if (!caller || (caller->uid != ::geteuid() && caller->uid != 0)) {
      log_warning("control: a caller of user {} is turned away", caller ? caller->uid : uid_t(-1));
      continue;
    }
    if (!make_room()) {
      log_warning("control: {} callers wait for answers, one more is turned away",
                  connections_.size());
      continue;
    }
    connections_.push_back({.fd = std::move(fd), .active_ms = now_ms});
  }
}

/// Where all places are taken, the caller that has been silent for longest leaves.
bool ControlServer::make_room() {
  if (connections_.size() < kMostConnections) return true;
  auto oldest = connections_.end();
  for (auto one = connections_.begin(); one != connections_.end(); ++one) {
    if (one->pending) continue;
    if (oldest == connections_.end() || one->active_ms < oldest->active_ms) oldest = one;
  }
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

void ControlServer::receive(Connection& connection) {
  std::array<std::byte, 4096> buffer;
  const ssize_t n = retry_eintr(
      [&] { return ::recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT); });
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    connection.dead = true;
    return;
  }
  connection.in.insert(connection.in.end(), buffer.begin(), buffer.begin() + n);
  take_request(connection);
}

void ControlServer::take_request(Connection& connection) {
  if (connection.dead || connection.closing || connection.pending || !connection.out.empty()) {
    return;
  }
  std::span<const std::byte> bytes{connection.in};
  const auto frame = wire::take_frame(bytes);
  if (!frame) return refuse(connection, frame.error().text());
  if (!frame.value()) {
    if (connection.in.size() >= kMostBytes) refuse(connection, "a control request has no data");
    return;
  }
  const auto request = decode_request(frame.value()->header);
  connection.in.erase(connection.in.begin(),
                      connection.in.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  if (!request) return refuse(connection, request.error().text());
  connection.pending = handle_(request.value());
}

void ControlServer::refuse(Connection& connection, const std::string& why) {
  ControlReply reply;
  reply.error = why;
  connection.in.clear();
  connection.out = wire::encode_frame(encode_reply(reply));
  connection.closing = true;
  flush(connection);
}

void ControlServer::flush(Connection& connection) {
  const ssize_t n = send_with_fds(connection.fd.get(), connection.out, connection.out_fds);
  if (n < 0 && errno != EAGAIN) connection.dead = true;
  if (n <= 0) return;
  connection.out_fds.clear();
  connection.out.erase(connection.out.begin(), connection.out.begin() + n);
  if (connection.out.empty() && connection.closing) connection.dead = true;
}

}  // namespace lefting::supervisor
