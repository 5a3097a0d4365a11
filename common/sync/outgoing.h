#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/entry.h"
#include "common/store/store.h"
#include "common/wire/messages.h"

namespace lefting::sync {

/// Some of our changes, as they go over the wire.
struct Page {
  std::string data;
  wire::IndexRange range;
  bool more = false;  ///< another page follows
  wire::Encoding encoding = wire::Encoding::identity;
  std::uint64_t raw_size = 0;  ///< of `data` before compression
  std::size_t entries = 0;

  /// Puts into a greeting what goes with the page: range, more, encoding, raw size.
  void describe(wire::Greeting& greeting) const;
};

/// Cuts our changes after `seen` into pages of at most 10,000 entries and 4 MiB.
class Outgoing {
 public:
  /// `zstd`: the peer takes compressed lists.
  Outgoing(store::Store& store, std::uint64_t seen, bool zstd);
  /// The next page. The first always comes, with no entries if there is no change; after the last
  /// (`more` false) nothing.
  std::optional<Page> next();

 private:
  store::Store& store_;
  IndexId index_;
  std::uint64_t at_;
  std::uint64_t end_;  ///< the last sequence when this began; later changes go with later news
  bool zstd_;
  bool ended_ = false;
};

}  // namespace lefting::sync
