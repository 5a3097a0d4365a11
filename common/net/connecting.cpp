#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/base/os.h"
#include "common/net/resolve.h"
#include "common/net/stream.h"

namespace lefting::net {

namespace {

void send_at_once(int socket) {
  const int on = 1;  // a frame is written whole: nothing to gather
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Result<UniqueFd> connect_one(const addrinfo& to, const Address& address, int stop_fd,
                             Deadline deadline) {
  UniqueFd socket{::socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) return os_error(errno, "make a socket for", address.text());
  if (::connect(socket.get(), to.ai_addr, to.ai_addrlen) != 0) {
    // EINTR: it goes on all the same.
    if (errno != EINPROGRESS && errno != EINTR) {
      return os_error(errno, "connect to", address.text());
    }
    auto ready = wait_for(socket.get(), POLLOUT, stop_fd, deadline);
    if (!ready) return Error{ready.error().code, "connect to", address.text(), {}};
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) return os_error(failed, "connect to", address.text());
  }
  send_at_once(socket.get());
  return socket;
}

/// Tries a host's addresses in order. None may use up the time of those after it.
Result<UniqueFd> connect_any(const Address& address, int stop_fd, Deadline deadline) {
  const auto found = resolve(address);
  if (!found) return found.error();
  int left = 0;
  for (const addrinfo* to = found.value().get(); to != nullptr; to = to->ai_next) ++left;
  Result<UniqueFd> outcome = os_error(EADDRNOTAVAIL, "connect to", address.text());
  for (const addrinfo* to = found.value().get(); to != nullptr; to = to->ai_next, --left) {
    const Deadline share = deadline_in(milliseconds{poll_timeout(deadline) / left});
    outcome = connect_one(*to, address, stop_fd, share);
    if (outcome || outcome.error().code == Fault::stopped) break;
  }
  return outcome;
}

/// Refuses a peer that does not begin with TLS. Errors: Fault::not_tls, timeout, stopped, closed.
Status check_first_byte(Connection::Stream& plain, Deadline deadline) {
  if (auto ready = plain.wait(POLLIN, deadline); !ready) return ready;
  std::byte first{};
  const ssize_t n = retry_eintr([&] { return ::recv(plain.socket.get(), &first, 1, MSG_PEEK); });
  if (n < 0) return os_error(errno, "read from", plain.remote.text());
  if (n == 0) return plain.error(Fault::closed, "read from");
  if (first == kTlsHandshake) return {};
  send_mismatch(plain, "this peer speaks TLS; start both peers with --plain, or neither");
  Error mismatch = plain.error(Fault::not_tls, "read from");
  mismatch.advice = kMismatchAdvice;
  return mismatch;
}

}  // namespace

Result<Connection> Connection::connect(const Address& address, const Identity* identity,
                                       const std::optional<DeviceId>& expected, int stop_fd,
                                       const Timeouts& timeouts) {
  const Deadline deadline = deadline_in(timeouts.connect);
  auto socket = connect_any(address, stop_fd, deadline);
  if (!socket) return socket.error();
  if (identity == nullptr) {
    return Connection{make_plain_stream(socket.take(), stop_fd, address, timeouts)};
  }
  auto stream =
      make_tls_stream(socket.take(), stop_fd, address, timeouts, *identity, Side::calls, deadline);
  if (!stream) return stream.error();
  const auto& device = stream.value()->device;
  if (expected && device != expected) {
    Error wrong = stream.value()->error(Fault::wrong_device, "connect to");
    wrong.advice = "the device there is " + to_text(*device);
    return wrong;
  }
  return Connection{stream.take()};
}

Result<Connection> Connection::accept(UniqueFd socket, const Identity* identity, int stop_fd,
                                      const Timeouts& timeouts) {
  auto remote = remote_address(socket.get());
  if (!remote) return remote.error();
  send_at_once(socket.get());
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  if (identity == nullptr) {
    return Connection{make_plain_stream(std::move(socket), stop_fd, remote.take(), timeouts)};
  }
  const Deadline deadline = deadline_in(timeouts.connect);
  auto plain = make_plain_stream(std::move(socket), stop_fd, remote.value(), timeouts);
  if (auto tls = check_first_byte(*plain, deadline); !tls) return tls.error();
  auto stream = make_tls_stream(std::move(plain->socket), stop_fd, remote.take(), timeouts,
                                *identity, Side::answers, deadline);
  if (!stream) return stream.error();
  return Connection{stream.take()};
}

}  // namespace lefting::net
