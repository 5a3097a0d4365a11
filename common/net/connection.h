#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/net/identity.h"
#include "common/wire/frame.h"

namespace lefting::net {

/// Why a connection has nothing more to give, beside what errno says.
enum class Fault {
  closed = 1,    ///< the other side closed it between frames
  cut,           ///< it ended within a frame
  timeout,       ///< nothing came, or nothing could be sent, for too long
  stopped,       ///< this process is to leave
  not_tls,       ///< the other side does not speak TLS: is it started with --plain?
  needs_tls,     ///< the other side speaks TLS, this one was told not to
  wrong_device,  ///< its key is not the one of the peer that was called
  tls,           ///< the handshake or a record failed
};
const std::error_category& fault_category();
inline std::error_code make_error_code(Fault fault) {
  return {static_cast<int>(fault), fault_category()};
}

/// Waits of a connection.
struct Timeouts {
  milliseconds connect{5000};    ///< TCP connect and TLS handshake
  milliseconds idle{120000};     ///< between frames, for the answering side
  milliseconds progress{30000};  ///< within a frame without a byte of it, either way
  /// A whole frame has `progress` and as long as its bytes take at this rate, however they come.
  std::uint32_t least_bytes_a_second = 16384;
};

/// A frame that has come, in memory of its own.
struct ReceivedFrame {
  std::string header;
  std::vector<std::byte> data;
};

/// One TCP connection to a peer, with TLS or without. Used by one thread.
///
/// 1. Sockets are non-blocking; every wait has a limit and ends when `stop_fd` becomes readable.
/// 2. A frame's sizes are checked before memory is taken for it.
class Connection {
 public:
  /// Calls a peer. `identity` null: plain. `expected`: the device it must be; not for plain.
  /// `stop_fd` -1: none. Errors: errno's, Fault's, or the resolver's; the subject is the address.
  static Result<Connection> connect(const Address& address, const Identity* identity,
                                    const std::optional<DeviceId>& expected, int stop_fd,
                                    const Timeouts& timeouts = {});
  /// Takes an accepted socket; for TLS does the handshake. A plain peer that meets TLS is told so
  /// in a plain frame (`not_trusted`), a TLS peer that meets plain gets an error likewise.
  static Result<Connection> accept(UniqueFd socket, const Identity* identity, int stop_fd,
                                   const Timeouts& timeouts = {});

  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();  ///< says goodbye where TLS can without waiting, and closes

  /// The device whose key is at the other end; nothing for plain.
  const std::optional<DeviceId>& device() const;
  const Address& remote() const;
  int fd() const;
  /// Lets the system take `bytes` to send though the other side does not read: who has sent no more
  /// than that and goes on to read never waits for one who waits for him to read.
  void make_room_to_send(std::size_t bytes);
  /// As the system has measured it; 0 where it has not.
  std::chrono::microseconds round_trip() const;
  /// True if bytes are already in memory, so that poll() on fd() would wait for nothing.
  bool buffered() const;
  /// True if bytes have come that are in the system's memory yet, or the connection's end.
  bool has_input() const;

  /// Waits for the next frame, first up to `wait` for its first byte, then `progress` for each
  /// further one. What was not read of the former frame is skipped. Errors: Fault::closed, cut,
  /// timeout, stopped; wire codes bad_frame, too_large.
  Result<wire::FrameSizes> begin_frame(milliseconds wait);
  /// After begin_frame: the header, whole.
  Result<std::string> read_header();
  /// After read_header: the next `into.size()` bytes of the data.
  Status read_data(std::span<std::byte> into);
  /// begin_frame, read_header and all of the data.
  Result<ReceivedFrame> receive(milliseconds wait);

  /// Sends one frame. Errors: Fault::timeout, stopped, tls; errno's; then close the connection.
  Status send(std::string_view header, std::span<const std::byte> data = {});
  /// As send(), but the frame may stay here until the next send, flush(), or until what the other
  /// side sends is waited for: many small ones cost one write.
  Status send_later(std::string_view header, std::span<const std::byte> data);
  Status flush();
  /// Sends frames without data, which encode_frame() made, at once.
  Status send_frames(std::span<const std::byte> frames);
  /// Begins a frame of `data_size` bytes of data and sends the first of them; send_more must send
  /// the rest before anything else is sent.
  Status send_begin(std::string_view header, std::uint32_t data_size,
                    std::span<const std::byte> first);
  Status send_more(std::span<const std::byte> data);
  /// As send_more, of the file `fd`: `count` bytes from `offset` on. Where there is no TLS they are
  /// not copied: what changes them before they have left is sent. Errors also: ESTALE, the file
  /// ends before; then, too, close the connection.
  Status send_file(int fd, std::uint64_t offset, std::uint32_t count);

  /// Before closing after a last reply: sends no more, and for up to a second throws away what the
  /// other side is still sending; otherwise its system might drop the reply for a reset.
  void finish();

  struct Stream;  // plain or TLS, in the .cpp

 private:
  explicit Connection(std::unique_ptr<Stream> stream);
  std::unique_ptr<Stream> stream_;
};

}  // namespace lefting::net

template <>
struct std::is_error_code_enum<lefting::net::Fault> : std::true_type {};
