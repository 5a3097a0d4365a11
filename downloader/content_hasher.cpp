#include "downloader/content_hasher.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/base/os.h"
#include "common/share/hash.h"

namespace lefting::downloader {

namespace {

constexpr std::uint64_t kPiece = 256u << 10;
constexpr std::uint64_t kWriteBack = 16u << 20;

}  // namespace

ContentHasher::ContentHasher(int fd, std::uint64_t size_bytes) : fd_{fd}, size_{size_bytes} {
  thread_ = std::jthread{[this] { run(); }};
}

ContentHasher::~ContentHasher() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  changed_.notify_one();
}

void ContentHasher::advance(std::uint64_t frontier) {
  {
    const std::lock_guard lock{mutex_};
    frontier_ = std::max(frontier_, frontier);
  }
  changed_.notify_one();
}

Result<Sha256> ContentHasher::finish() {
  thread_.join();
  return result_;
}

void ContentHasher::run() {
  share::Hasher hasher;
  std::vector<std::byte> buffer(kPiece);
  std::uint64_t written_back = 0;
  for (std::uint64_t at = 0; at < size_;) {
    std::uint64_t frontier = 0;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return stop_ || frontier_ > at; });
      if (stop_) return;
      frontier = frontier_;
    }
    while (at < frontier) {
      const std::uint64_t length = std::min(kPiece, frontier - at);
      const auto came = pread_all(fd_, {buffer.data(), length}, at);
      if (!came || came.value() != length) {
        result_ = came ? os_error(EIO, "read back") : came.error();
        return;
      }
      hasher.add({buffer.data(), length});
      at += length;
    }
    // Begins to write back what is here, so that the sync at the end waits for less. A hint only.
    if (at - written_back >= kWriteBack) {
      ::sync_file_range(fd_, static_cast<off_t>(written_back),
                        static_cast<off_t>(at - written_back), SYNC_FILE_RANGE_WRITE);
      written_back = at;
    }
  }
  result_ = hasher.finish();
}

}  // namespace lefting::downloader
