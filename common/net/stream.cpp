#include "common/net/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/os.h"
#include "common/wire/messages.h"

namespace lefting::net {

namespace {

/// About a TLS record. What is asked for in pieces at least this large goes straight to its place.
constexpr std::size_t kBufferBytes = 16384;
/// Of a file that is sent, in memory at once.
constexpr std::size_t kFilePieceBytes = 256u << 10;
/// How long a peer gets to read a last reply.
constexpr milliseconds kFarewell{1000};

class FaultCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "lefting.net"; }
  std::string message(int code) const override {
    switch (static_cast<Fault>(code)) {
      case Fault::closed:
        return "the other side closed the connection";
      case Fault::cut:
        return "the connection ended within a frame";
      case Fault::timeout:
        return "nothing could be read or written for too long";
      case Fault::stopped:
        return "this process is to leave";
      case Fault::not_tls:
        return "the other side does not speak TLS";
      case Fault::needs_tls:
        return "the other side speaks TLS, and this one was told not to";
      case Fault::wrong_device:
        return "it is another device than the one that was called";
      case Fault::tls:
        return "TLS failed";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& fault_category() {
  static const FaultCategory category;
  return category;
}

Connection::Stream::Stream(UniqueFd taken, int stop, Address other, const Timeouts& waits)
    : socket{std::move(taken)},
      stop_fd{stop},
      remote{std::move(other)},
      timeouts{waits},
      in(kBufferBytes) {}

Connection::Stream::~Stream() = default;

Error Connection::Stream::error(std::error_code code, const char* operation) const {
  return {code, operation, remote.text(), {}};
}

Status wait_for(int socket, short events, int stop_fd, Deadline deadline) {
  for (;;) {
    const int left = poll_timeout(deadline);
    pollfd fds[] = {{socket, events, 0}, {stop_fd, POLLIN, 0}};
    const int ready = poll_fds(fds, left);
    if (fds[1].revents != 0) return Error{Fault::stopped, "wait for", {}, {}};
    if (ready > 0) return {};
    if (left == 0) return Error{Fault::timeout, "wait for", {}, {}};
  }
}

bool Connection::Stream::stopping() const {
  pollfd fd{stop_fd, POLLIN, 0};
  return stop_fd >= 0 && poll_fds({&fd, 1}, 0) > 0;
}

Status Connection::Stream::write_file(int fd, std::uint64_t offset, std::uint64_t count) {
  file_piece.resize(kFilePieceBytes);
  while (count > 0) {
    const std::span piece{file_piece.data(), std::min<std::uint64_t>(count, kFilePieceBytes)};
    const auto came = pread_all(fd, piece, offset);
    if (!came) return came.error();
    if (came.value() < piece.size()) return os_error(ESTALE, "send a file to", remote.text());
    const std::span<const std::byte> bytes{piece};
    if (auto written = write({&bytes, 1}); !written) return written;
    offset += piece.size();
    count -= piece.size();
  }
  return {};
}

Status Connection::Stream::send(std::initializer_list<std::span<const std::byte>> pieces) {
  std::vector<std::span<const std::byte>> all{std::span<const std::byte>{held}};
  all.insert(all.end(), pieces);
  auto written = write(all);
  held.clear();
  return written;
}

Status Connection::Stream::flush() { return held.empty() ? Status{} : send({}); }

Status Connection::Stream::wait(short events, Deadline deadline) const {
  const auto ready = wait_for(socket.get(), events, stop_fd, deadline);
  return ready ? Status{} : error(ready.error().code, "wait for");
}

Result<std::size_t> Connection::Stream::read_some(std::span<std::byte> into,
                                                  const std::optional<Deadline>& deadline) {
  if (in_begin == in_end && into.size() < in.size()) {
    const auto came = read_some(in, deadline);
    if (!came) return came.error();
    in_begin = 0;
    in_end = came.value();
  }
  if (in_begin < in_end) {
    const std::size_t count = std::min(into.size(), in_end - in_begin);
    std::memcpy(into.data(), in.data() + in_begin, count);
    in_begin += count;
    return count;
  }
  for (;;) {
    const auto step = try_read(into);
    if (!step) {
      static_cast<void>(flush());  // the other side may have closed its half only
      return step.error();
    }
    if (step.value().bytes > 0) return step.value().bytes;
    if (auto sent = flush(); !sent) return sent.error();
    auto until = deadline ? *deadline : deadline_in(timeouts.progress);
    if (!deadline && frame_deadline) until = std::min(until, *frame_deadline);
    if (auto ready = wait(step.value().wait_for, until); !ready) return ready.error();
  }
}

Status Connection::Stream::read_exactly(std::span<std::byte> into) {
  while (!into.empty()) {
    const auto count = read_some(into);
    if (!count) {
      const bool ended = count.error().code == Fault::closed;
      return ended ? error(Fault::cut, "read from") : count.error();
    }
    into = into.subspan(count.value());
  }
  return {};
}

Status Connection::Stream::skip_rest() {
  std::array<std::byte, 4096> scrap;
  for (std::size_t left = std::size_t{header_left} + data_left; left > 0;) {
    const std::size_t count = std::min(left, scrap.size());
    if (auto done = read_exactly(std::span{scrap}.first(count)); !done) return done;
    left -= count;
  }
  header_left = 0;
  data_left = 0;
  return {};
}

void Connection::Stream::drain(Deadline deadline) {
  constexpr std::size_t kAtOnce = 1u << 20;
  for (;;) {
    // MSG_TRUNC drops the bytes of a TCP socket without copying them.
    const ssize_t n = retry_eintr(
        [&] { return ::recv(socket.get(), nullptr, kAtOnce, MSG_TRUNC | MSG_DONTWAIT); });
    if (n == 0 || (n < 0 && errno != EAGAIN)) return;
    if (poll_timeout(deadline) == 0) return;
    if (n < 0 && !wait(POLLIN, deadline)) return;
  }
}

void send_mismatch(Connection::Stream& plain, const char* message) {
  wire::BadRequest bad;
  bad.code = wire::Code::not_trusted;
  bad.message = message;
  const auto frame = wire::encode_frame(wire::encode_reply(wire::error_reply(bad)));
  const std::span<const std::byte> piece{frame};
  if (!plain.write(std::span{&piece, 1})) return;
  ::shutdown(plain.socket.get(), SHUT_WR);
  plain.drain(deadline_in(kFarewell));
}

void Connection::finish() {
  stream_->say_goodbye();
  ::shutdown(stream_->socket.get(), SHUT_WR);
  stream_->drain(deadline_in(kFarewell));
}

}  // namespace lefting::net
