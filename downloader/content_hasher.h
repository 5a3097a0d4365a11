#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace lefting::downloader {

/// Hashes a file that is being received, beside the receiving: what is there from the file's
/// beginning on, read back from the page cache, so that what is proved is what the file holds.
class ContentHasher {
 public:
  /// `fd` must outlive the hasher.
  ContentHasher(int fd, std::uint64_t size_bytes);
  ~ContentHasher();

  /// All bytes before `frontier` are in the file now.
  void advance(std::uint64_t frontier);
  /// Waits for the end. The frontier must be at the file's end.
  Result<Sha256> finish();

 private:
  void run();

  int fd_;
  std::uint64_t size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t frontier_ = 0;
  bool stop_ = false;
  Result<Sha256> result_{Sha256{}};
  std::jthread thread_;  // last: it uses the others
};

}  // namespace lefting::downloader
