#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace lefting::share {

/// SHA-256 of bytes that come in pieces.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void add(std::span<const std::byte> bytes);
  /// Gives the hash and begins anew.
  Sha256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads a file from its beginning to its end. `beat` is called at least every 1 MiB; false ends
/// the work (ECANCELED).
Result<Sha256> hash_file(int fd, const std::function<bool()>& beat);

}  // namespace lefting::share
