#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "common/base/os.h"
#include "common/net/stream.h"

namespace lefting::net {

namespace {

constexpr std::size_t kMaxPieces = 4;

class PlainStream : public Connection::Stream {
 public:
  using Stream::Stream;

  Result<Step> try_read(std::span<std::byte> into) override {
    const ssize_t n =
        retry_eintr([&] { return ::recv(socket.get(), into.data(), into.size(), 0); });
    if (n > 0) return Step{static_cast<std::size_t>(n), 0};
    if (n == 0) return error(Fault::closed, "read from");
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Step{0, POLLIN};
    return os_error(errno, "read from", remote.text());
  }

  Status write(std::span<const std::span<const std::byte>> pieces) override {
    LEFTING_ASSERT(pieces.size() <= kMaxPieces);
    std::array<iovec, kMaxPieces> vectors;
    std::size_t count = 0;
    for (const auto& piece : pieces) {
      if (piece.empty()) continue;
      vectors[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
    }
    std::span<iovec> left{vectors.data(), count};
    while (!left.empty()) {
      const auto sent = send_some(left);
      if (!sent) return sent.error();
      if (sent.value() == 0) {
        if (auto ready = wait(POLLOUT, deadline_in(timeouts.progress)); !ready) return ready;
      }
      advance(left, sent.value());
    }
    return {};
  }

  Status write_file(int fd, std::uint64_t offset, std::uint64_t count) override {
    auto at = static_cast<off_t>(offset);
    const auto end = static_cast<off_t>(offset + count);
    while (at < end) {
      const ssize_t n = retry_eintr(
          [&] { return ::sendfile(socket.get(), fd, &at, static_cast<std::size_t>(end - at)); });
      if (n > 0) continue;
      if (n == 0) return os_error(ESTALE, "send a file to", remote.text());
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (auto ready = wait(POLLOUT, deadline_in(timeouts.progress)); !ready) return ready;
        continue;
      }
      // Its file system can't.
      const bool can_not = errno == EINVAL || errno == ENOSYS;
      if (!can_not) return os_error(errno, "send a file to", remote.text());
      return Stream::write_file(fd, static_cast<std::uint64_t>(at),
                                static_cast<std::uint64_t>(end - at));
    }
    return {};
  }

 private:
  /// Returns how many bytes went, 0 if none can at the moment.
  Result<std::size_t> send_some(std::span<iovec> vectors) const {
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    const ssize_t n = retry_eintr([&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL); });
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    return os_error(errno, "write to", remote.text());
  }

  static void advance(std::span<iovec>& left, std::size_t bytes) {
    while (!left.empty() && bytes >= left.front().iov_len) {
      bytes -= left.front().iov_len;
      left = left.subspan(1);
    }
    if (left.empty()) return;
    left.front().iov_base = static_cast<std::byte*>(left.front().iov_base) + bytes;
    left.front().iov_len -= bytes;
  }
};

}  // namespace

std::unique_ptr<Connection::Stream> make_plain_stream(UniqueFd socket, int stop_fd, Address remote,
                                                      const Timeouts& timeouts) {
  return std::make_unique<PlainStream>(std::move(socket), stop_fd, std::move(remote), timeouts);
}

}  // namespace lefting::net
