#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "common/base/content_hash.h"
#include "common/base/result.h"

namespace lefting::share {

/// The hash of bytes that come in pieces.
class Hasher {
 public:
  explicit Hasher(HashKind kind);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void add(std::span<const std::byte> bytes);
  /// Gives the hash and begins anew.
  ContentHash finish();

  struct Algorithm;

 private:
  std::unique_ptr<Algorithm> algorithm_;
};

ContentHash hash_bytes(std::span<const std::byte> bytes, HashKind kind);

/// Reads a file from its beginning to its end, once. `beat` is called at least every 1 MiB; false
/// ends the work (ECANCELED).
Result<ContentHashes> hash_file(int fd, HashKinds kinds, const std::function<bool()>& beat);
/// Likewise, of one kind.
Result<ContentHash> hash_file(int fd, HashKind kind, const std::function<bool()>& beat);

}  // namespace lefting::share
