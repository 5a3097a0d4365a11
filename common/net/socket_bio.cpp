#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <new>
#include <vector>

#include "common/base/os.h"
#include "common/net/tls.h"

namespace lefting::net {

namespace {

/// Each send makes packets of its own, and with them headers: eight full records share one.
constexpr std::size_t kSendBytes = 8 * (kRecordBytes + 256);

/// What a BIO of ours knows; it owns this, and not the socket.
struct SocketState {
  int fd;
  SocketView view = {};
  std::vector<char> out = {};  ///< written by OpenSSL, not sent yet
  std::size_t out_sent = 0;    ///< of these bytes
};

SocketState& state_of(BIO* bio) { return *static_cast<SocketState*>(BIO_get_data(bio)); }

/// Tells OpenSSL what a system call said: moved, try again later, or over.
int report(BIO* bio, ssize_t moved, std::size_t* count, void (*try_later)(BIO*)) {
  BIO_clear_retry_flags(bio);
  if (moved > 0) {
    *count = static_cast<std::size_t>(moved);
    return 1;
  }
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    try_later(bio);
  } else {
    state_of(bio).view.end = moved == 0 ? 0 : errno;
  }
  return 0;
}

int read_socket(BIO* bio, char* into, std::size_t size, std::size_t* count) {
  SocketState& state = state_of(bio);
  const ssize_t n = retry_eintr([&] { return ::recv(state.fd, into, size, 0); });
  if (n > 0 && !state.view.first_in) state.view.first_in = static_cast<std::byte>(into[0]);
  return report(bio, n, count, [](BIO* later) { BIO_set_retry_read(later); });
}

/// Sends what is gathered.
bool flush(BIO* bio) {
  SocketState& state = state_of(bio);
  while (state.out_sent < state.out.size()) {
    const char* const from = state.out.data() + state.out_sent;
    const std::size_t size = state.out.size() - state.out_sent;
    std::size_t sent = 0;
    const ssize_t n = retry_eintr([&] { return ::send(state.fd, from, size, MSG_NOSIGNAL); });
    if (report(bio, n, &sent, [](BIO* later) { BIO_set_retry_write(later); }) == 0) return false;
    state.out_sent += sent;
  }
  state.out.clear();
  state.out_sent = 0;
  return true;
}

int write_socket(BIO* bio, const char* from, std::size_t size, std::size_t* count) {
  SocketState& state = state_of(bio);
  BIO_clear_retry_flags(bio);
  if (state.out.size() + size > kSendBytes && !flush(bio)) return 0;
  state.out.insert(state.out.end(), from, from + size);
  *count = size;
  return 1;
}

long control(BIO* bio, int command, long, void*) {
  return command == BIO_CTRL_FLUSH && flush(bio) ? 1 : 0;
}

int destroy(BIO* bio) {
  delete static_cast<SocketState*>(BIO_get_data(bio));
  return 1;
}

using OwnedMethod = Owned<BIO_METHOD, BIO_meth_free>;

OwnedMethod make_method() {
  OwnedMethod method{BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lefting socket")};
  if (!method) throw std::bad_alloc{};
  BIO_meth_set_read_ex(method.get(), read_socket);
  BIO_meth_set_write_ex(method.get(), write_socket);
  BIO_meth_set_ctrl(method.get(), control);
  BIO_meth_set_destroy(method.get(), destroy);
  return method;
}

}  // namespace

OwnedBio make_socket_bio(int fd) {
  static const OwnedMethod method = make_method();  // OpenSSL wants one that outlives every BIO
  OwnedBio bio{BIO_new(method.get())};
  if (!bio) throw std::bad_alloc{};
  auto state = std::make_unique<SocketState>(SocketState{fd});
  state->out.reserve(kSendBytes);  // OpenSSL, which calls write_socket(), knows no exceptions
  BIO_set_data(bio.get(), state.release());
  BIO_set_init(bio.get(), 1);
  return bio;
}

const SocketView& socket_view(BIO* bio) { return state_of(bio).view; }

}  // namespace lefting::net
