#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/wire/messages.h"

namespace lefting::wire {

/// Writes one page of entries as a JSON array, entry by entry.
class EntryListWriter {
 public:
  void add(const Entry& entry);
  /// Of the page that take() would give.
  std::size_t size_bytes() const { return text_.size() + 1; }
  std::size_t count() const { return count_; }
  /// Ends the array and gives the page; the writer is empty again.
  std::string take();

 private:
  std::string text_ = "[";
  std::size_t count_ = 0;
};

/// An entry as it stands in a list or a reply's `entry`.
std::string encode_entry(const Entry& entry);

/// Reads a page, entry by entry, in memory that does not grow with it.
///
/// `emit`      called for each good entry, in order.
/// `rejected`  gets up to 100 of the bad ones; a bad entry does not spoil its list.
/// Errors      bad_request where it is no JSON array of objects, or is nested too deep;
///             entries before the fault were emitted.
Status decode_entry_list(std::string_view page, const std::function<void(Entry&&)>& emit,
                         std::vector<Rejected>& rejected);

/// Compresses with zstd for the wire. Throws std::bad_alloc only.
std::string compress(std::string_view raw);
/// Undoes it. `raw_size` is what the header said: at most `limit`, and exactly what comes out;
/// 0 where it said nothing. Errors: too_large, bad_request.
Result<std::string> decompress(std::span<const std::byte> packed, std::uint64_t raw_size,
                               std::uint64_t limit = kMaxBlockLength);

}  // namespace lefting::wire
