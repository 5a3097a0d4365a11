#include "common/net/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/base/os.h"
#include "common/net/stream.h"

namespace lefting::net {

namespace {

/// Memory for a frame's data is taken in steps no larger than what has come so far, or this: a
/// peer that only promises data costs no more.
constexpr std::size_t kFirstStepBytes = 1u << 20;
constexpr std::size_t kHeldBytes = 64u << 10;

/// A plain peer that meets TLS: no frame begins like this.
Status check_plain(Connection::Stream& stream, std::byte first) {
  if (stream.device || (first != kTlsHandshake && first != kTlsAlert)) return {};
  if (first == kTlsHandshake) {
    send_mismatch(stream,
                  "this peer was started with --plain; start both peers with --plain, or neither");
  }
  Error mismatch = stream.error(Fault::needs_tls, "read from");
  mismatch.advice = kMismatchAdvice;
  return mismatch;
}

}  // namespace

Connection::Connection(std::unique_ptr<Stream> stream) : stream_{std::move(stream)} {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

const std::optional<DeviceId>& Connection::device() const { return stream_->device; }
const Address& Connection::remote() const { return stream_->remote; }
int Connection::fd() const { return stream_->socket.get(); }

void Connection::make_room_to_send(std::size_t bytes) {
  // Twice that: for what TLS adds, and for the last that goes beyond.
  const int size = static_cast<int>(2 * bytes);
  ::setsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

std::chrono::microseconds Connection::round_trip() const {
  struct tcp_info info = {};
  socklen_t size = sizeof info;
  if (::getsockopt(fd(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return std::chrono::microseconds{info.tcpi_rtt};
}

bool Connection::buffered() const { return stream_->buffered(); }

bool Connection::has_input() const {
  pollfd readable{.fd = fd(), .events = POLLIN, .revents = 0};
  return poll_fds({&readable, 1}, 0) != 0;
}

Result<wire::FrameSizes> Connection::begin_frame(milliseconds wait) {
  Stream& stream = *stream_;
  if (auto done = stream.skip_rest(); !done) return done.error();
  const Deadline deadline = deadline_in(wait);
  // Asked before anything is read, so that a peer that never pauses can't keep us from leaving.
  if (stream.stopping()) return stream.error(Fault::stopped, "read from");
  std::array<std::byte, wire::kPreambleBytes> preamble;
  const auto came = stream.read_some(preamble, deadline);
  if (!came) return came.error();
  stream.frame_deadline = deadline_in(stream.timeouts.progress);
  if (std::exchange(stream.first_frame, false)) {
    if (auto plain = check_plain(stream, preamble[0]); !plain) return plain.error();
  }
  if (auto done = stream.read_exactly(std::span{preamble}.subspan(came.value())); !done) {
    return done.error();
  }
  auto sizes = wire::decode_sizes(preamble);
  if (!sizes) return sizes.error();
  const std::uint64_t bytes = std::uint64_t{sizes.value().header} + sizes.value().data;
  *stream.frame_deadline += std::chrono::seconds{bytes / stream.timeouts.least_bytes_a_second};
  stream.header_left = sizes.value().header;
  stream.data_left = sizes.value().data;
  return sizes;
}

Result<std::string> Connection::read_header() {
  std::string header(std::exchange(stream_->header_left, 0), '\0');
  auto done = stream_->read_exactly(std::as_writable_bytes(std::span{header}));
  if (!done) return done.error();
  return header;
}

Status Connection::read_data(std::span<std::byte> into) {
  LEFTING_ASSERT(stream_->header_left == 0 && into.size() <= stream_->data_left);
  stream_->data_left -= static_cast<std::uint32_t>(into.size());
  return stream_->read_exactly(into);
}

Result<ReceivedFrame> Connection::receive(milliseconds wait) {
  const auto sizes = begin_frame(wait);
  if (!sizes) return sizes.error();
  ReceivedFrame frame;
  auto header = read_header();
  if (!header) return header.error();
  frame.header = header.take();
  while (frame.data.size() < sizes.value().data) {
    const std::size_t have = frame.data.size();
    const std::size_t step = std::max(have, kFirstStepBytes);
    frame.data.resize(std::min<std::size_t>(sizes.value().data, have + step));
    if (auto done = read_data(std::span{frame.data}.subspan(have)); !done) return done.error();
  }
  return frame;
}

Status Connection::send(std::string_view header, std::span<const std::byte> data) {
  LEFTING_ASSERT(data.size() <= wire::kMaxDataBytes);
  return send_begin(header, static_cast<std::uint32_t>(data.size()), data);
}

Status Connection::send_later(std::string_view header, std::span<const std::byte> data) {
  LEFTING_ASSERT(stream_->send_left == 0);
  const auto frame = wire::encode_frame(header, data);
  auto& held = stream_->held;
  held.insert(held.end(), frame.begin(), frame.end());
  return held.size() < kHeldBytes ? Status{} : flush();
}

Status Connection::flush() { return stream_->flush(); }

Status Connection::send_frames(std::span<const std::byte> frames) {
  LEFTING_ASSERT(stream_->send_left == 0);
  return stream_->send({frames});
}

Status Connection::send_begin(std::string_view header, std::uint32_t data_size,
                              std::span<const std::byte> first) {
  LEFTING_ASSERT(stream_->send_left == 0 && first.size() <= data_size);
  LEFTING_ASSERT(header.size() <= wire::kMaxHeaderBytes);
  const auto preamble = wire::encode_sizes({static_cast<std::uint32_t>(header.size()), data_size});
  stream_->send_left = data_size - static_cast<std::uint32_t>(first.size());
  return stream_->send({preamble, std::as_bytes(std::span{header}), first});
}

Status Connection::send_more(std::span<const std::byte> data) {
  LEFTING_ASSERT(data.size() <= stream_->send_left);
  stream_->send_left -= static_cast<std::uint32_t>(data.size());
  return stream_->write({&data, 1});
}

Status Connection::send_file(int fd, std::uint64_t offset, std::uint32_t count) {
  LEFTING_ASSERT(count <= stream_->send_left);
  stream_->send_left -= count;
  return stream_->write_file(fd, offset, count);
}

}  // namespace lefting::net
