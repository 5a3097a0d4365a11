#include "supervisor/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "common/base/os.h"
#include "supervisor/control_messages.h"

namespace lefting::supervisor {

namespace {

const std::string kSocketName{InstancePaths::kControlSocket};

UniqueFd open_folder(const InstancePaths& paths) {
  return UniqueFd{::open(paths.dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

sockaddr_un address_in(int folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/" + kSocketName;
  LEFTING_ASSERT(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Error control_error(const char* operation, const InstancePaths& paths) {
  return os_error(errno, operation, paths.dir + "/" + kSocketName);
}

/// Room for the ancillary data of an attach, aligned as CMSG_* want it.
union Ancillary {
  char bytes[CMSG_SPACE(kAttachedFds * sizeof(int))];
  cmsghdr align;
};

}  // namespace

Result<UniqueFd> listen_control(const InstancePaths& paths) {
  const UniqueFd folder = open_folder(paths);
  if (!folder) return control_error("open folder of", paths);
  if (::unlinkat(folder.get(), kSocketName.c_str(), 0) != 0 && errno != ENOENT) {
    return control_error("remove the old", paths);
  }
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return control_error("make a socket for", paths);
  const sockaddr_un address = address_in(folder.get());
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), generic(address), sizeof address);
  ::umask(before);
  if (bound != 0) return control_error("bind", paths);
  if (::listen(fd.get(), 64) != 0) return control_error("listen on", paths);
  return fd;
}

void remove_control(const InstancePaths& paths) {
  if (const UniqueFd folder = open_folder(paths)) {
    ::unlinkat(folder.get(), kSocketName.c_str(), 0);
  }
}

Result<std::optional<UniqueFd>> connect_control(const InstancePaths& paths) {
  const UniqueFd folder = open_folder(paths);
  if (!folder) {
    if (errno == ENOENT) return std::optional<UniqueFd>{};
    return control_error("open folder of", paths);
  }
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return control_error("make a socket for", paths);
  const sockaddr_un address = address_in(folder.get());
  if (retry_eintr([&] { return ::connect(fd.get(), generic(address), sizeof address); }) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::optional<UniqueFd>{};
    return control_error("call", paths);
  }
  return std::optional<UniqueFd>{std::move(fd)};
}

std::optional<Credentials> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return Credentials{credentials.pid, credentials.uid};
}

ssize_t send_with_fds(int fd, std::span<const std::byte> bytes, std::span<const int> fds) {
  LEFTING_ASSERT(fds.size() <= kAttachedFds);
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = ancillary.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  return retry_eintr([&] { return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
}

ssize_t receive_with_fds(int fd, std::span<std::byte> into, std::vector<UniqueFd>& fds) {
  iovec part{into.data(), into.size()};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.bytes;
  message.msg_controllen = sizeof ancillary.bytes;
  const ssize_t n =
      retry_eintr([&] { return ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (n < 0) return n;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, kAttachedFds> received{};
    std::memcpy(received.data(), CMSG_DATA(header), count * sizeof(int));
    for (std::size_t i = 0; i < count; ++i) fds.emplace_back(received[i]);
  }
  return n;
}

}  // namespace lefting::supervisor
