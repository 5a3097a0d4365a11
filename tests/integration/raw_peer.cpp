#include "tests/integration/raw_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <list>
#include <stdexcept>

#include "common/base/os.h"
#include "common/share/cut.h"
#include "common/share/hash.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

namespace {

constexpr const char* kRestOfDevice =
    "AAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";

std::string big_endian(std::size_t value) {
  std::string out(4, '\0');
  for (int i = 0; i < 4; ++i)
    out[static_cast<std::size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
  return out;
}

std::size_t from_big_endian(const char* bytes) {
  std::size_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

rapidjson::Document RawFrame::json() const {
  rapidjson::Document document;
  document.Parse(header.c_str());
  return document;
}

std::string raw_frame(const std::string& header, const std::string& data) {
  return big_endian(header.size()) + big_endian(data.size()) + header + data;
}

RawConnection::RawConnection(int port, int receive_bytes)
    : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
  if (receive_bytes > 0) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  }
  const sockaddr_in address = loopback(port);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error{"connect"};
  }
}

void RawConnection::send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;  // the other side closed: what it says of it is in receive()
    sent += static_cast<std::size_t>(n);
  }
}

void RawConnection::send_byte_by_byte(const std::string& bytes) {
  for (const char c : bytes) send(std::string(1, c));
}

bool RawConnection::read_exactly(std::string& into, std::size_t size) {
  into.resize(size);
  std::size_t have = 0;
  while (have < size) {
    if (!comes()) return false;
    const ssize_t n = ::recv(fd_.get(), into.data() + have, size - have, 0);
    if (n <= 0) return false;
    have += static_cast<std::size_t>(n);
  }
  return true;
}

std::optional<RawFrame> RawConnection::receive() {
  std::string sizes;
  RawFrame frame;
  if (!read_exactly(sizes, 8) || !read_exactly(frame.header, from_big_endian(sizes.data())) ||
      !read_exactly(frame.data, from_big_endian(sizes.data() + 4))) {
    return std::nullopt;
  }
  return frame;
}

bool RawConnection::comes() const {
  pollfd readable{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&readable, 1, 10000) > 0;
}

bool RawConnection::closed() {
  if (!comes()) return false;
  char byte = 0;
  return ::recv(fd_.get(), &byte, 1, 0) <= 0;
}

RawPeer::RawPeer(char letter)
    : device_{letter + std::string{kRestOfDevice}},
      socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
  const sockaddr_in address = loopback(port());
  const int yes = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_.get(), 64) != 0) {
    throw std::runtime_error{"bind"};
  }
  Pipe stop = make_pipe();
  stop_read_ = std::move(stop.read_end);
  stop_write_ = std::move(stop.write_end);
  thread_ = std::thread{[this] { serve(); }};
}

RawPeer::~RawPeer() { leave(); }

void RawPeer::leave() {
  stop_write_.reset();
  if (thread_.joinable()) thread_.join();
}

void RawPeer::answer_with(Answer answer) {
  const std::lock_guard lock{mutex_};
  answer_ = std::move(answer);
}

std::string RawPeer::hello_reply(const std::string& entries, const std::string& more) const {
  return raw_frame(fmt::format(R"({{"reply":"hello","status":"ok","protocol":1,"device":"{}",)"
                               R"("name":"raw","port":{}{}}})",
                               device_, port(), more),
                   entries);
}

std::string RawPeer::news(const std::string& entries) const {
  return raw_frame(fmt::format(R"({{"operation":"news","protocol":1,"device":"{}","name":"raw",)"
                               R"("port":{}}})",
                               device_, port()),
                   entries);
}

std::string RawPeer::hello(const std::string& entries) const {
  return raw_frame(fmt::format(R"({{"operation":"hello","protocol":1,"device":"{}","name":"raw",)"
                               R"("port":{}}})",
                               device_, port()),
                   entries);
}

std::vector<RawFrame> RawPeer::requests() const {
  const std::lock_guard lock{mutex_};
  return requests_;
}

void RawPeer::serve() {
  std::list<std::thread> connections;
  for (;;) {
    pollfd fds[2] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                     {.fd = stop_read_.get(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) break;
    UniqueFd fd{::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!fd) continue;
    connections.emplace_back(
        [this, taken = std::move(fd)]() mutable { serve_connection(std::move(taken)); });
  }
  for (std::thread& thread : connections) thread.join();
}

void RawPeer::serve_connection(UniqueFd fd) {
  RawConnection connection{std::move(fd)};
  for (;;) {
    pollfd fds[2] = {{.fd = connection.fd(), .events = POLLIN, .revents = 0},
                     {.fd = stop_read_.get(), .events = POLLIN, .revents = 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    const auto frame = connection.receive();
    if (!frame) return;
    const auto reply = answer(*frame);
    if (!reply) return;
    connection.send(*reply);
  }
}

std::optional<std::string> RawPeer::answer(const RawFrame& frame) {
  Answer chosen;
  const rapidjson::Document json = frame.json();
  const std::string operation = json["operation"].GetString();
  {
    const std::lock_guard lock{mutex_};
    chosen = answer_;
    if (operation == "get_file") requests_.push_back({frame.header, frame.data});
  }
  if (chosen) return chosen(frame);
  if (operation == "hello") return hello_reply("[]");
  if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
  return raw_frame(R"({"reply":"get_file","status":"error","error":"not_found","message":""})");
}

std::string sha256(const std::string& content) {
  unsigned char digest[32];
  unsigned size = 0;
  EVP_Digest(content.data(), content.size(), digest, &size, EVP_sha256(), nullptr);
  std::string out;
  for (const unsigned char byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

std::string blake3(const std::string& content) {
  return to_text(share::hash_bytes(std::as_bytes(std::span{content}), HashKind::blake3));
}

std::string blocks_of(const std::string& content) {
  const TempFolder folder;
  std::ofstream{folder / "f", std::ios::binary} << content;
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  const auto cut = share::cut_file(fd.get(), content.size(), 1, [] { return true; });
  return share::encode_blocks(cut.value());
}

std::string manifest_reply(const std::string& blocks) {
  return raw_frame(fmt::format(R"({{"reply":"get_file","status":"ok","cut":"{}","first":0,)"
                               R"("blocks":{}}})",
                               share::kCutRule, blocks.size() / share::kEncodedBlock),
                   blocks);
}

std::string raw_entry(const std::string& path, std::uint64_t size, std::int64_t mtime_ns,
                      const std::string& more) {
  return fmt::format(R"({{"path":"{}","size":{},"mtime":{}{}}})", path, size, mtime_ns, more);
}

}  // namespace lefting::test
