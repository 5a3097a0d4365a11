#pragma once

#include <rapidjson/document.h>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/unique_fd.h"
#include "tests/integration/process.h"

namespace lefting::test {

/// One frame as it stands on the wire, in our own words: no code of the project's is used, so that
/// a mistake in the codec can't hide.
struct RawFrame {
  std::string header;
  std::string data;
  rapidjson::Document json() const;
};
std::string raw_frame(const std::string& header, const std::string& data = "");

/// A plain TCP connection that sends and receives raw bytes.
class RawConnection {
 public:
  /// `receive_bytes`: what comes though it is not read, or the system's choice.
  explicit RawConnection(int port, int receive_bytes = 0);
  explicit RawConnection(UniqueFd fd) : fd_{std::move(fd)} {}
  void send(const std::string& bytes);
  void send_byte_by_byte(const std::string& bytes);
  /// True if something comes within 10 s; it is left there.
  bool comes() const;
  /// Nothing: the other side closed, or 10 s passed.
  std::optional<RawFrame> receive();
  /// True if the other side closes within 10 s without another frame.
  bool closed();
  int fd() const { return fd_.get(); }

 private:
  bool read_exactly(std::string& into, std::size_t size);
  UniqueFd fd_;
};

/// A peer written from docs/PROTOCOL.md alone, for plain mode: it answers what comes to its port
/// the way the test wants.
class RawPeer {
 public:
  /// Called for each frame; what it returns is sent as it is. Nothing: the connection is closed.
  using Answer = std::function<std::optional<std::string>(const RawFrame&)>;

  /// `letter`: its device ID begins with it.
  explicit RawPeer(char letter = 'A');
  ~RawPeer();
  /// Answers nothing more: what its answers use may go.
  void leave();
  int port() const { return port_.port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  /// From now on; before it, everything gets the plain answers of a peer that has nothing.
  void answer_with(Answer answer);
  /// A hello's reply that offers these entries (a JSON array). `more`: further fields.
  std::string hello_reply(const std::string& entries, const std::string& more = "") const;
  /// A news request that offers them.
  std::string news(const std::string& entries) const;
  std::string hello(const std::string& entries) const;
  /// The get_file requests that came, oldest first.
  std::vector<RawFrame> requests() const;

 private:
  void serve();
  void serve_connection(UniqueFd fd);
  std::optional<std::string> answer(const RawFrame& frame);

  PortLease port_;
  std::string device_;
  UniqueFd socket_;
  UniqueFd stop_read_;
  UniqueFd stop_write_;
  mutable std::mutex mutex_;
  Answer answer_;
  std::vector<RawFrame> requests_;
  std::thread thread_;
};

/// SHA-256 as an entry has it.
std::string sha256(const std::string& content);
std::string blake3(const std::string& content);
/// The blocks of a content, as a manifest has them; and the manifest.
std::string blocks_of(const std::string& content);
std::string manifest_reply(const std::string& blocks);

/// An entry for a list. `more`: further fields, each with a leading comma.
std::string raw_entry(const std::string& path, std::uint64_t size, std::int64_t mtime_ns,
                      const std::string& more = "");

}  // namespace lefting::test
