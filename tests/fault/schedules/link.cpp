#include "tests/fault/schedules/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>
#include <vector>

#include "common/net/address.h"

namespace lefting::test {

namespace {

constexpr std::size_t kMostHeld = 1 << 16;

UniqueFd connect_to(int port) {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, O_NONBLOCK); }

short events_of(int fd, const std::string& held_for_it, const std::string& held_from_it) {
  short events = 0;
  if (fd >= 0 && !held_for_it.empty()) events |= POLLOUT;
  if (fd >= 0 && held_from_it.size() < kMostHeld) events |= POLLIN;
  return events;
}

}  // namespace

Link::Link(int target) : target_{target} {
  auto socket = net::listen_on({"127.0.0.1", static_cast<std::uint16_t>(port())});
  if (!socket) throw std::runtime_error{socket.error().text()};
  socket_ = socket.take();
  make_nonblocking(socket_.get());
  thread_ = std::jthread{[this] { carry(); }};
}

Link::~Link() {
  leave_ = true;
  changed_.signal();
}

void Link::set(bool cut) {
  cut_ = cut;
  changed_.signal();
}

void Link::take_caller() {
  UniqueFd near{::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!near || cut_) return;
  UniqueFd far = connect_to(target_);
  if (!far) return;
  make_nonblocking(near.get());
  make_nonblocking(far.get());
  Pair& pair = pairs_.emplace_back();
  pair.out = {near.get(), far.get(), {}, false};
  pair.back = {far.get(), near.get(), {}, false};
  pair.near = std::move(near);
  pair.far = std::move(far);
}

/// False: the connection is over.
bool Link::move(Flow& flow) {
  char buffer[16384];
  if (!flow.ended && flow.held.size() < kMostHeld) {
    const ssize_t n = ::recv(flow.from, buffer, sizeof buffer, 0);
    if (n > 0) flow.held.append(buffer, static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    flow.ended = n == 0;
  }
  while (!flow.held.empty()) {
    const ssize_t n = ::send(flow.to, flow.held.data(), flow.held.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    flow.held.erase(0, static_cast<std::size_t>(n));
  }
  return !flow.ended;
}

void Link::carry() {
  while (!leave_) {
    if (cut_) pairs_.clear();
    std::vector<pollfd> fds = {{.fd = changed_.fd(), .events = POLLIN, .revents = 0},
                               {.fd = socket_.get(), .events = POLLIN, .revents = 0}};
    for (const Pair& pair : pairs_) {
      fds.push_back({.fd = pair.near.get(),
                     .events = events_of(pair.near.get(), pair.back.held, pair.out.held),
                     .revents = 0});
      fds.push_back({.fd = pair.far.get(),
                     .events = events_of(pair.far.get(), pair.out.held, pair.back.held),
                     .revents = 0});
    }
    poll_fds(fds, -1);
    changed_.drain();
    std::erase_if(pairs_, [](Pair& pair) { return !move(pair.out) || !move(pair.back); });
    if (fds[1].revents != 0) take_caller();
  }
}

}  // namespace lefting::test
