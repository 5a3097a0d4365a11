#include "common/sync/outgoing.h"

#include <algorithm>

#include "common/wire/entry_list.h"

namespace lefting::sync {

namespace {

constexpr std::size_t kPageEntries = 10'000;
constexpr std::size_t kPageBytes = 4u << 20;
constexpr std::size_t kWorthCompressing = 4096;

}  // namespace

void Page::describe(wire::Greeting& greeting) const {
  greeting.index = range;
  greeting.more = more;
  greeting.encoding = encoding;
  greeting.raw_size = encoding == wire::Encoding::zstd ? raw_size : 0;
}

Outgoing::Outgoing(store::Store& store, std::uint64_t seen, bool zstd)
    : store_{store}, index_{store.index_id()}, at_{seen}, end_{store.last_sequence()}, zstd_{zstd} {
  // A peer that has seen more than there is has seen an index that this store has lost.
  if (at_ > end_) at_ = 0;
  // Else a power cut could take back what a peer knows, and a clock that is behind then would give
  // one stamp to two changes.
  if (at_ < end_) store_.make_durable(end_);
}

std::optional<Page> Outgoing::next() {
  if (ended_) return std::nullopt;
  wire::EntryListWriter list;
  const std::uint64_t from = at_;
  bool full = false;
  bool past = false;  // met a change that came after this list began
  const std::size_t count = store_.changes_after(at_, kPageEntries, [&](const Record& record) {
    // The sum of a page's entries is known only while it is written, so it may end early.
    past |= !full && record.sequence > end_;
    if (full || past) return;
    list.add(record.entry);
    at_ = record.sequence;
    full = list.size_bytes() > kPageBytes - 65536;
  });
  Page page;
  page.more = !past && (full || count == kPageEntries);
  if (!page.more) at_ = std::max(at_, end_);
  ended_ = !page.more;
  page.range = {index_, from, at_};
  page.entries = list.count();
  page.data = list.take();
  page.raw_size = page.data.size();
  if (zstd_ && page.data.size() >= kWorthCompressing) {
    page.data = wire::compress(page.data);
    page.encoding = wire::Encoding::zstd;
  }
  return page;
}

}  // namespace lefting::sync
