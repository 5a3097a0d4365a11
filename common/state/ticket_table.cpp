#include "common/state/ticket_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "common/base/assert.h"
#include "common/state/cut_text.h"
#include "common/state/ticket_blocks.h"

namespace lefting::state {

namespace {

static_assert(sizeof(TicketNode) ==
              sizeof(TicketPathHook) + sizeof(TicketOrderHook) + sizeof(TicketData));

constexpr std::size_t kFirstBuckets = 64;  // a power of 2
constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();

Result<TicketPaths::bucket_traits> make_buckets(Arena& arena, std::size_t count) {
  const Result<void*> memory = arena.allocate(count * sizeof(TicketPaths::bucket_type));
  if (!memory.ok()) return memory.error();
  auto* first = static_cast<TicketPaths::bucket_type*>(memory.value());
  for (std::size_t i = 0; i < count; ++i) new (first + i) TicketPaths::bucket_type;
  return TicketPaths::bucket_traits{first, count};
}

void fill(TicketData& data, const Ticket& ticket) {
  const Entry& wanted = ticket.wanted;
  data.path_hash = path_hash(wanted.path);
  data.id = ticket.id;
  data.size = wanted.size;
  data.mtime_ns = wanted.mtime_ns;
  data.sources = ticket.sources;
  data.hash = wanted.hash.value_or(ContentHash{});
  data.has_hash = wanted.hash.has_value();
  data.mode = static_cast<std::uint16_t>(wanted.mode);
  data.deleted = wanted.deleted;
  data.announced = ticket.announced;
  data.version_count = static_cast<std::uint16_t>(wanted.version.size());
  data.path_bytes = static_cast<std::uint16_t>(wanted.path.size());
  std::copy(wanted.version.begin(), wanted.version.end(), data.versions());
  std::memcpy(data.versions() + data.version_count, wanted.path.data(), wanted.path.size());
}

Result<TicketNode*> make_node(Arena& arena, const Ticket& ticket) {
  const Entry& wanted = ticket.wanted;
  const Result<void*> memory = arena.allocate(
      sizeof(TicketNode) + wanted.version.size() * sizeof(VersionCounter) + wanted.path.size());
  if (!memory.ok()) return memory.error();
  std::uint8_t* done = nullptr;
  if (any_done(wanted.size, ticket.done)) {
    // Without room for its bitmap it begins anew here: better than not at all.
    const Result<std::uint8_t*> bitmap = make_bitmap(arena, wanted.size);
    if (bitmap.ok()) done = bitmap.value();
  }
  auto* node = new (memory.value()) TicketNode;
  fill(node->data, ticket);
  node->data.done = done;
  if (done != nullptr) node->data.done_bytes = fill_bitmap(done, wanted.size, ticket.done);
  return node;
}

}  // namespace

TicketView to_view(const TicketNode& node) {
  const TicketData& data = node.data;
  TicketView view;
  Entry& wanted = view.ticket.wanted;
  wanted.path = data.path();
  wanted.size = data.size;
  wanted.mtime_ns = data.mtime_ns;
  wanted.mode = data.mode;
  if (data.has_hash) wanted.hash = data.hash;
  wanted.version.assign(data.versions(), data.versions() + data.version_count);
  wanted.deleted = data.deleted;
  view.ticket.id = data.id;
  view.ticket.sources = data.sources;
  view.ticket.announced = data.announced;
  if (data.done) {
    view.ticket.done.assign(data.done.get(), data.done.get() + bitmap_bytes(data.size));
  }
  view.state = data.state;
  view.done_bytes = data.done_bytes;
  view.attempts = data.attempts;
  view.retry_at_ms = data.retry_at_ms;
  view.reason.cause = data.cause;
  if (data.reason) view.reason.text.assign(data.reason.get(), data.reason_bytes);
  return view;
}

TicketTable& TicketTable::make(Arena& arena) {
  // A new arena has room for an empty table.
  const Result<void*> memory = arena.allocate(sizeof(TicketTable));
  LEFTING_ASSERT(memory.ok());
  const Result<TicketPaths::bucket_traits> buckets = make_buckets(arena, kFirstBuckets);
  LEFTING_ASSERT(buckets.ok());
  auto* table = new (memory.value()) TicketTable{buckets.value()};
  arena.set_root(table);
  return *table;
}

TicketNode* TicketTable::find(const PathKey& key) {
  const auto at = paths_.find(key, HashTicket{}, EqualTicket{});
  return at == paths_.end() ? nullptr : &*at;
}

Status TicketTable::put(Arena& arena, const Ticket& ticket) {
  const Entry& wanted = ticket.wanted;
  if (wanted.path.size() > kMost || wanted.version.size() > kMost) {
    return plain_error("put a ticket", "its path or version is too long");
  }
  TicketNode* old = find(path_key(wanted.path));
  if (old == nullptr || ticket.id > old->data.id) {
    if (old != nullptr) erase(arena, *old);
    arena.fault_point(FaultPoint::tickets_torn);
    return put_new(arena, ticket);
  }
  if (ticket.id == old->data.id) refresh(arena, *old, ticket);
  return {};
}

void TicketTable::refresh(Arena& arena, TicketNode& node, const Ticket& ticket) {
  TicketData& data = node.data;
  if (data.done_bytes == 0 && any_done(data.size, ticket.done)) {
    // Without room for it the blocks are only not remembered here.
    if (const auto bitmap = make_bitmap(arena, data.size); bitmap.ok()) {
      data.done = bitmap.value();
      data.done_bytes = fill_bitmap(bitmap.value(), data.size, ticket.done);
      totals_.done_bytes += data.done_bytes;
    }
  }
  if (!data.has_hash && ticket.wanted.hash) {
    data.hash = *ticket.wanted.hash;
    data.has_hash = true;
  }
  data.announced &= ticket.announced;
  const bool has_another = (ticket.sources & ~data.sources) != 0;
  data.sources = ticket.sources;
  // A source that tells of it again may have it by now.
  const bool awaits_source = (data.cause == Cause::no_source && has_another) ||
                             data.cause == Cause::source_changed ||
                             data.cause == Cause::source_busy || data.cause == Cause::source_failed;
  if (data.state == TicketState::waiting && awaits_source) {
    set_state(arena, node, TicketState::queued);
  }
}

Status TicketTable::put_new(Arena& arena, const Ticket& ticket) {
  if (paths_.size() >= paths_.bucket_count()) {
    if (Status done = grow_buckets(arena); !done.ok()) return done;
  }
  const Result<TicketNode*> made = make_node(arena, ticket);
  if (!made.ok()) return made.error();
  TicketNode& node = *made.value();
  paths_.insert(node);
  put_into_order(node);
  totals_.bytes += node.data.size;
  totals_.done_bytes += node.data.done_bytes;
  return {};
}

Status TicketTable::grow_buckets(Arena& arena) {
  const Result<TicketPaths::bucket_traits> more = make_buckets(arena, 2 * paths_.bucket_count());
  if (!more.ok()) return more.error();
  void* old = &*paths_.bucket_pointer();
  paths_.rehash(more.value());
  arena.free(old);
  return {};
}

void TicketTable::erase(Arena& arena, TicketNode& node) {
  forget_done(arena, node);
  set_reason(arena, node, {});
  take_out_of_order(node);
  totals_.bytes -= node.data.size;
  paths_.erase(paths_.iterator_to(node));
  arena.free(&node);
}

std::uint64_t& TicketTable::count_of(TicketState state) {
  switch (state) {
    case TicketState::queued:
      return totals_.queued;
    case TicketState::active:
      return totals_.active;
    case TicketState::waiting:
      return totals_.waiting;
    case TicketState::failed:
      break;
  }
  return totals_.failed;
}

void TicketTable::take_out_of_order(TicketNode& node) {
  --count_of(node.data.state);
  if (node.data.state == TicketState::queued) queued_.erase(queued_.iterator_to(node));
  if (node.data.state == TicketState::waiting) waiting_.erase(waiting_.iterator_to(node));
}

void TicketTable::put_into_order(TicketNode& node) {
  ++count_of(node.data.state);
  if (node.data.state == TicketState::queued) queued_.insert(node);
  if (node.data.state == TicketState::waiting) waiting_.insert(node);
}

void TicketTable::set_state(Arena& arena, TicketNode& node, TicketState state,
                            std::uint64_t retry_at_ms) {
  set_reason(arena, node, {});
  take_out_of_order(node);
  node.data.state = state;
  node.data.retry_at_ms = retry_at_ms;
  put_into_order(node);
}

void TicketTable::set_reason(Arena& arena, TicketNode& node, const Reason& reason) {
  TicketData& data = node.data;
  data.cause = reason.cause;
  if (data.reason) arena.free(data.reason.get());
  data.reason = nullptr;
  data.reason_bytes = 0;
  const std::string_view text = cut_text(reason.text, kReasonBytes);
  if (text.empty()) return;
  const Result<void*> memory = arena.allocate(text.size());
  if (!memory.ok()) return;
  std::memcpy(memory.value(), text.data(), text.size());
  data.reason = static_cast<char*>(memory.value());
  data.reason_bytes = static_cast<std::uint16_t>(text.size());
}

Status TicketTable::mark_done(Arena& arena, TicketNode& node, std::uint64_t first,
                              std::uint64_t count) {
  TicketData& data = node.data;
  const std::uint64_t blocks = block_count(data.size);
  if (first >= blocks || count == 0) return {};
  if (!data.done) {
    const Result<std::uint8_t*> bitmap = make_bitmap(arena, data.size);
    if (!bitmap.ok()) return bitmap.error();
    data.done = bitmap.value();
  }
  const std::uint64_t last = first + std::min(count, blocks - first);
  const std::uint64_t added = set_blocks(data.done.get(), data.size, first, last);
  data.done_bytes += added;
  totals_.done_bytes += added;
  return {};
}

void TicketTable::forget_done(Arena& arena, TicketNode& node) {
  TicketData& data = node.data;
  if (data.done) arena.free(data.done.get());
  data.done = nullptr;
  totals_.done_bytes -= data.done_bytes;
  data.done_bytes = 0;
}

void TicketTable::queue_ripe(Arena& arena, std::uint64_t now_ms) {
  while (!waiting_.empty()) {
    TicketNode& node = *waiting_.begin();
    if (node.data.retry_at_ms > now_ms || node.data.retry_at_ms == kNoRetry) return;
    set_state(arena, node, TicketState::queued);
  }
}

}  // namespace lefting::state
