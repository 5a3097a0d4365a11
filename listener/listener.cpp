#include "listener/listener.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "common/base/log.h"

namespace lefting::listener {

namespace {

/// The heartbeat must come every 10 s.
constexpr int kLongestWaitMs = 8000;
/// Beyond the limit so many more are accepted, to be told that they are too many.
constexpr std::size_t kRefusals = 16;

}  // namespace

struct Listener::Worker {
  std::atomic<bool> done{false};
  std::jthread thread;
};

Listener::Listener(RoleContext& context, UniqueFd socket, share::Share share)
    : context_{context},
      socket_{std::move(socket)},
      share_{std::move(share)},
      desk_{context,
            context.instance(),
            share_,
            sync::Intake{context.instance().index, context.instance().peers,
                         context.instance().writer},
            {},
            {}} {}

Listener::~Listener() { desk_.new_records.end(); }

void Listener::run() {
  context_.ready();
  const EventFd& wake = context_.instance().wakes.listener;
  while (!context_.stopping()) {
    context_.beat();
    const bool full = workers_.size() >= context_.instance().settings.max_connections + kRefusals;
    std::array<pollfd, 4> fds = {
        pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
        pollfd{.fd = ended_.fd(), .events = POLLIN, .revents = 0},
        pollfd{.fd = full ? -1 : socket_.get(), .events = POLLIN, .revents = 0},
        pollfd{.fd = wake.fd(), .events = POLLIN, .revents = 0}};
    poll_fds(fds, kLongestWaitMs);
    if (wake.drain()) desk_.new_records.note();
    if (ended_.drain()) reap();
    if (fds[2].revents != 0) accept_one();
  }
}

void Listener::accept_one() {
  UniqueFd socket{::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!socket) {
    // EMFILE and the like: connections wait in the kernel's queue until a session ends.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
      log_warning("{}", os_error(errno, "accept").text());
      pollfd ended{.fd = ended_.fd(), .events = POLLIN, .revents = 0};
      poll_fds({&ended, 1}, 1000);
    }
    return;
  }
  const bool busy = workers_.size() >= context_.instance().settings.max_connections;
  workers_.push_back(std::make_unique<Worker>());
  Worker& worker = *workers_.back();
  worker.thread = std::jthread{[this, busy, &worker, taken = std::move(socket)]() mutable {
    try {
      auto connection =
          net::Connection::accept(std::move(taken), desk_.instance.tls(), context_.stop_fd());
      if (connection) {
        Session session{desk_, connection.take()};
        busy ? session.refuse() : session.run();
      } else {
        log_info("a connection was not taken: {}", connection.error().text());
      }
    } catch (const std::exception& error) {
      RoleContext::leave_if_hopeless(error);
      log_error("a connection was closed: {}", error.what());
    }
    worker.done = true;
    ended_.signal();
  }};
}

void Listener::reap() {
  workers_.remove_if([](const std::unique_ptr<Worker>& worker) { return worker->done.load(); });
}

}  // namespace lefting::listener
