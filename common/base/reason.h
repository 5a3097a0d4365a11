#pragma once

#include <cstdint>
#include <string>

namespace lefting {

/// Why a path is not in sync, for programs. The names are what `dumpstate --json` says, so one that
/// is given stays.
enum class Cause : std::uint8_t {
  none,
  queued,          ///< it will be fetched, or removed, in turn
  active,          ///< it is being fetched or removed
  no_source,       ///< no peer that has it is online
  no_space,        ///< the disk, or a quota, is full
  changing,        ///< it was changed here and that isn't recorded yet
  in_the_way,      ///< something that is not synced stands at its path
  not_permitted,   ///< the system doesn't let us read or write it
  refused_name,    ///< the file system doesn't take its name, or it is reserved
  source_changed,  ///< the source has another version by now
  source_busy,     ///< the source takes no more requests for now
  source_failed,   ///< the source has it and can't give it
  wrong_content,   ///< what came did not match its hash
  too_large,
  failed,     ///< another error of the system
  ignored,    ///< .leftingignore excludes it
  held,       ///< its deletion waits for approval
  special,    ///< a symlink, device, socket or FIFO
  left_over,  ///< a partial file that no transfer owns
};
const char* to_text(Cause cause);

/// With words for people.
struct Reason {
  Cause cause = Cause::none;
  std::string text;
  bool operator==(const Reason&) const = default;
};
/// A change that waits for the scanner to record it.
Reason changed_here();

}  // namespace lefting
