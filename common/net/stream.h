#pragma once

// What a connection is made of; for the .cpp files of this room.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/net/connection.h"

namespace lefting::net {

/// What one try to read or write without waiting came to.
struct Step {
  std::size_t bytes = 0;  ///< moved
  short wait_for = 0;     ///< where nothing was: the poll() event after which to try again
};

/// The bytes of one connection, plain or TLS, and how far the frame in them has been read.
struct Connection::Stream {
  Stream(UniqueFd taken, int stop, Address other, const Timeouts& waits);
  virtual ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Reads what is there. Errors: Fault::closed at the end of the stream; Fault::tls; errno's.
  virtual Result<Step> try_read(std::span<std::byte> into) = 0;
  /// Writes all pieces, one after the other.
  virtual Status write(std::span<const std::span<const std::byte>> pieces) = 0;
  /// Writes `count` bytes of a file, from `offset` on. Errors also: ESTALE: it ends before.
  virtual Status write_file(int fd, std::uint64_t offset, std::uint64_t count);
  /// Writes what is held, and then `pieces`.
  Status send(std::initializer_list<std::span<const std::byte>> pieces);
  /// Sends what is held; also done before anything is waited for that the other side may send.
  Status flush();
  /// True if bytes were taken off the socket that try_read has not given yet.
  virtual bool pending() const { return false; }
  /// Says that nothing more will be written, as far as that goes without waiting.
  virtual void say_goodbye() {}

  bool buffered() const { return in_begin < in_end || pending(); }
  /// True if `stop_fd` is readable.
  bool stopping() const;
  /// As wait_for.
  Status wait(short events, Deadline deadline) const;
  /// Reads at least a byte. `deadline`: none: `progress` from each wait on.
  Result<std::size_t> read_some(std::span<std::byte> into,
                                const std::optional<Deadline>& deadline = {});
  /// Fills `into`; the end of the stream is Fault::cut.
  Status read_exactly(std::span<std::byte> into);
  /// Reads past what is left of the frame.
  Status skip_rest();
  /// Throws away what arrives until the other side closes, at most until `deadline`.
  void drain(Deadline deadline);
  Error error(std::error_code code, const char* operation) const;

  // Fixed after construction.
  UniqueFd socket;
  const int stop_fd;
  const Address remote;
  const Timeouts timeouts;
  std::optional<DeviceId> device;  ///< set by the handshake

  // The frame that is being read.
  std::uint32_t header_left = 0;  ///< bytes
  std::uint32_t data_left = 0;    ///< bytes
  bool first_frame = true;
  std::optional<Deadline> frame_deadline;  ///< when all of it must be here

  std::vector<std::byte> held;  ///< whole frames that are to be sent with what comes next
  /// Bytes of data that the frame being sent still lacks.
  std::uint32_t send_left = 0;

  // Bytes that have come and were not asked for yet: many small frames cost one read.
  std::vector<std::byte> in;
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  std::vector<std::byte> file_piece;  ///< of the file that is being sent
};

/// The first byte of a TLS handshake record, which no frame of ours begins with.
inline constexpr std::byte kTlsHandshake{0x16};
/// That of an alert: how a TLS peer says no.
inline constexpr std::byte kTlsAlert{0x15};

/// Waits for an event of the socket. Errors: Fault::timeout; Fault::stopped where `stop_fd`, which
/// may be -1, became readable first.
Status wait_for(int socket, short events, int stop_fd, Deadline deadline);

std::unique_ptr<Connection::Stream> make_plain_stream(UniqueFd socket, int stop_fd, Address remote,
                                                      const Timeouts& timeouts);
enum class Side { calls, answers };
/// Does the handshake, within `deadline`. Errors: Fault::tls, not_tls, timeout, stopped; errno's.
Result<std::unique_ptr<Connection::Stream>> make_tls_stream(UniqueFd socket, int stop_fd,
                                                            Address remote,
                                                            const Timeouts& timeouts,
                                                            const Identity& identity, Side side,
                                                            Deadline deadline);
/// What to do where one side speaks TLS and the other does not.
inline constexpr const char* kMismatchAdvice = "start both peers with --plain, or neither";
/// Answers a peer that speaks the other way: an error frame without TLS, and time to read it.
void send_mismatch(Connection::Stream& plain, const char* message);

}  // namespace lefting::net
