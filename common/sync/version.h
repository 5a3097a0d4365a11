#pragma once

#include <cstdint>
#include <optional>

#include "common/base/entry.h"

namespace lefting::sync {

enum class Order { equal, newer, older, concurrent };

/// How `a` stands to `b`: newer if it contains every change that `b` does, and one more.
Order compare(const VersionVector& a, const VersionVector& b);

/// Each counter the larger.
VersionVector merge(const VersionVector& a, const VersionVector& b);

/// The vector of a change made by `device` on top of `version`: its counter becomes
/// max(every counter, `now_ms`) + 1, and never more than 2^53-1.
VersionVector bump(VersionVector version, ShortId device, std::uint64_t now_ms);

/// The greatest counter with the device that holds it: orders all versions totally, and never
/// against causality. Source: docs/PROTOCOL.md, "Versions".
struct Stamp {
  std::uint64_t counter = 0;
  ShortId device;
  auto operator<=>(const Stamp&) const = default;
};
Stamp stamp(const VersionVector& version);
/// As the wire says it.
VersionCounter stamp_counter(const VersionVector& version);

/// True if `version` knows the change that `change` is the stamp of: was made on top of it, or by
/// one who kept what it made.
bool covers(const VersionVector& version, const Stamp& change);

}  // namespace lefting::sync
