#include <sys/mman.h>

#include <algorithm>

#include "common/base/shard.h"
#include "common/state/layout.h"
#include "supervisor/view_read.h"

namespace lefting::supervisor {

namespace {

/// How many tickets are in memory at once: up to 2 KiB each, where files are very large.
constexpr std::size_t kPage = 2000;

state::TicketView as_stored(Ticket&& ticket) {
  state::TicketView out;
  out.done_bytes = done_bytes(ticket);
  out.ticket = std::move(ticket);
  return out;
}

/// By path; of one path only the newest record. Pointers, since records are large.
std::vector<const Record*> sorted(const std::vector<Record>& records) {
  std::vector<const Record*> out;
  out.reserve(records.size());
  for (const Record& record : records) out.push_back(&record);
  const auto before = [](const Record* one, const Record* other) {
    const int order = one->entry.path.compare(other->entry.path);
    return order != 0 ? order < 0 : one->sequence > other->sequence;
  };
  // The store gives them in this order.
  if (!std::ranges::is_sorted(out, before)) std::ranges::sort(out, before);
  const auto same = [](const Record* one, const Record* other) {
    return one->entry.path == other->entry.path;
  };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

/// Takes the segment's pages out of this program's memory; whoever reads them maps them again. Else
/// by and by all of the segment would count as ours.
void unmap_pages(const state::Segment& segment) {
  ::madvise(&segment.layout(), segment.size_bytes(), MADV_DONTNEED);
}

}  // namespace

void View::for_each_ticket(const std::function<bool(const state::TicketView&)>& emit,
                           std::uint64_t after) {
  for (;;) {
    auto page =
        from_store([after](store::Store& store) { return store.tickets_after(after, kPage); });
    if (page.empty()) return;
    after = page.back().id;
    for (const state::TicketView& view : tickets_now(std::move(page))) {
      if (!emit(view)) return;
    }
  }
}

std::vector<state::TicketView> View::tickets_now(std::vector<Ticket> page) {
  std::vector<state::TicketView> out;
  out.reserve(page.size());
  if (!attached_) {
    for (Ticket& ticket : page) out.push_back(as_stored(std::move(ticket)));
    return out;
  }
  const Session session{*this};
  for (const Ticket& ticket : page) {
    if (auto view = find_ticket(ticket)) out.push_back(std::move(*view));
  }
  return out;
}

std::optional<state::TicketView> View::find_ticket(const Ticket& ticket) {
  const std::string& path = ticket.wanted.path;
  if (attached_) {
    auto& guard = attached_->segment.layout().tickets.at(shard_of(path)).guard;
    auto found = from_segment(guard, [&] { return attached_->tickets.find(path); });
    const bool is_known = found && *found;
    if (is_known && (*found)->ticket.id == ticket.id) return std::move(*found);
    if (is_known && (*found)->ticket.id > ticket.id) return std::nullopt;
  }
  // The segment is behind, or the ticket has ended since it was listed.
  auto stored = from_store([&](store::Store& store) { return store.find_ticket(path); });
  if (!stored || stored->id != ticket.id) return std::nullopt;
  return as_stored(std::move(*stored));
}

std::optional<Record> View::find_file(const std::string& path) {
  if (attached_) {
    auto& guard = attached_->segment.layout().shards.at(shard_of(path)).guard;
    auto found = from_segment(guard, [&] { return attached_->dictionary.find(path); });
    if (found) return std::move(*found);
  }
  return from_store([&](store::Store& store) { return store.find(path); });
}

bool View::has_ticket(const std::string& path) {
  return from_store([&](store::Store& store) { return store.find_ticket(path).has_value(); });
}

void View::for_each_file(const std::function<void(const Record&)>& emit) {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const std::vector<Record> records = shard_records(shard);
    for (const Record* record : sorted(records)) emit(*record);
  }
}

/// The live ones from the segment, the tombstones from the store.
std::vector<Record> View::shard_records(std::size_t shard) {
  const auto live = [&] {
    std::vector<Record> out;
    attached_->dictionary.for_each(shard, [&out](const Record& record) { out.push_back(record); });
    return out;
  };
  std::optional<std::vector<Record>> records;
  if (attached_ && attached_->dictionary.complete(shard)) {
    records = from_segment(attached_->segment.layout().shards.at(shard).guard, live);
    unmap_pages(attached_->segment);
  }
  if (!records) {
    return from_store([shard](store::Store& store) {
      std::vector<Record> out;
      store.for_each_in_shard(shard, [&out](const Record& record) { out.push_back(record); });
      return out;
    });
  }
  const auto deleted = from_store([shard](store::Store& store) {
    std::vector<Record> out;
    store.for_each_deleted(shard, [&out](const Record& record) { out.push_back(record); });
    return out;
  });
  records->insert(records->end(), deleted.begin(), deleted.end());
  return std::move(*records);
}

Cause cause_of(const state::TicketView& ticket) {
  switch (ticket.state) {
    case state::TicketState::queued:
      return Cause::queued;
    case state::TicketState::active:
      return Cause::active;
    case state::TicketState::waiting:
    case state::TicketState::failed:
      break;
  }
  return ticket.reason.cause;
}

std::uint64_t done_bytes(const Ticket& ticket) {
  const std::uint64_t size = ticket.wanted.size;
  const std::uint64_t block = block_bytes(size);
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < block_count(size); ++i) {
    if (i / 8 >= ticket.done.size()) break;
    if ((ticket.done[i / 8] >> (i % 8) & 1) != 0) sum += std::min(block, size - i * block);
  }
  return sum;
}

}  // namespace lefting::supervisor
