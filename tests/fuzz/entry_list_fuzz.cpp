// Any text as a page: each entry taken keeps the rules, and comes back the same from a page of
// its own.

#include <cstdint>

#include "common/base/assert.h"
#include "common/wire/entry_list.h"

namespace {

using namespace lefting;
using namespace lefting::wire;

void check_entry(const Entry& entry) {
  LEFTING_ASSERT(!path_fault(entry.path));
  LEFTING_ASSERT(entry.size <= INT64_MAX && (!entry.deleted || entry.size == 0));
  LEFTING_ASSERT(entry.mode <= 0777 && entry.version.size() <= 256);
  for (std::size_t i = 0; i < entry.version.size(); ++i) {
    const VersionCounter& one = entry.version[i];
    LEFTING_ASSERT(one.counter >= 1 && one.counter < std::uint64_t{1} << 53);
    LEFTING_ASSERT(i == 0 || entry.version[i - 1].device < one.device);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const std::string_view page{reinterpret_cast<const char*>(input), size};
  std::vector<Entry> entries;
  std::vector<Rejected> rejected;
  EntryListWriter writer;
  const auto status = decode_entry_list(
      page,
      [&](Entry&& entry) {
        check_entry(entry);
        writer.add(entry);
        entries.push_back(std::move(entry));
      },
      rejected);
  LEFTING_ASSERT(status.ok() || status.error().code == Code::bad_request);
  LEFTING_ASSERT(rejected.size() <= 100);
  std::size_t next = 0;
  const auto again = decode_entry_list(
      writer.take(),
      [&](Entry&& entry) { LEFTING_ASSERT(next < entries.size() && entry == entries[next++]); },
      rejected);
  LEFTING_ASSERT(again.ok() && next == entries.size());

  const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(input), size};
  constexpr std::uint64_t kLimit = 65536;
  const auto raw = decompress(bytes, 0, kLimit);
  LEFTING_ASSERT(!raw.ok() || raw.value().size() <= kLimit);
  return 0;
}
