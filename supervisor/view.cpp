#include "supervisor/view.h"

#include <unistd.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/base/shard.h"
#include "common/net/identity.h"
#include "supervisor/peer_store.h"
#include "supervisor/prepare.h"

namespace lefting::supervisor {

namespace {

Wakes take_wakes(std::vector<UniqueFd>& fds) {
  const auto take = [&fds](AttachedFd which) {
    return EventFd{std::move(fds[static_cast<std::size_t>(which)])};
  };
  return {.scanner = take(AttachedFd::wake_scanner),
          .listener = take(AttachedFd::wake_listener),
          .downloader = take(AttachedFd::wake_downloader),
          .supervisor = take(AttachedFd::wake_supervisor)};
}

/// What a stopped instance says of itself.
InstanceReport report_at_rest(const InstancePaths& paths) {
  const Settings settings = last_settings(paths);
  InstanceReport out;
  out.name = settings.name;
  out.share = settings.share;
  out.listen = settings.listen;
  out.plain = settings.plain;
  if (::access(paths.key().c_str(), F_OK) == 0) {
    const auto identity = net::Identity::open(paths.key(), paths.certificate());
    if (identity) out.device = to_text(identity.value().device());
  }
  return out;
}

}  // namespace

View::Attached::Attached(ControlClient client, state::Segment attached_segment,
                         Wakes attached_wakes, store::Store& store)
    : control{std::move(client)},
      segment{std::move(attached_segment)},
      wakes{std::move(attached_wakes)},
      dictionary{segment, [&store](std::size_t shard,
                                   const auto& emit) { store.for_each_in_shard(shard, emit); }},
      tickets{segment, [&store](const auto& emit) { store.for_each_ticket(emit); }},
      peers{segment, peer_loader(store)} {}

View::View(const InstancePaths& paths) : store_{paths.store()} {}

std::unique_ptr<View> View::open_store(const InstancePaths& paths) {
  std::unique_ptr<View> view{new View{paths}};
  view->instance_ = report_at_rest(paths);
  return view;
}

Result<std::unique_ptr<View>> View::open(const InstancePaths& paths) {
  auto control = ControlClient::connect(paths);
  if (!control) return control.error();
  if (!control.value()) return open_store(paths);
  std::unique_ptr<View> view{new View{paths}};
  if (auto attached = view->attach(std::move(*control.take())); !attached) return attached.error();
  return view;
}

Status View::attach(ControlClient control) {
  auto answer = control.ask({.operation = "attach", .roles = {}, .slots = {}}, kPromptly);
  if (!answer) return answer.error();
  auto& fds = answer.value().fds;
  if (fds.size() != kAttachedFds) {
    return plain_error("attach", "the supervisor is of another version",
                       "use the tools that belong to it");
  }
  auto segment =
      state::Segment::attach(std::move(fds[static_cast<std::size_t>(AttachedFd::segment)]));
  if (!segment) return segment.error();
  instance_ = std::move(answer.value().reply.instance);
  attached_ =
      std::make_unique<Attached>(std::move(control), segment.take(), take_wakes(fds), store_);
  return {};
}

bool View::refresh() {
  if (!attached_) return false;
  auto answer =
      attached_->control.ask({.operation = "status", .roles = {}, .slots = {}}, kPromptly);
  if (!answer) return false;
  instance_ = std::move(answer.value().reply.instance);
  return true;
}

std::size_t View::segment_bytes() const { return attached_ ? attached_->segment.size_bytes() : 0; }
std::size_t View::used_bytes() const { return attached_ ? attached_->segment.used_bytes() : 0; }

std::vector<RoleView> View::roles() const {
  std::vector<RoleView> out;
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    RoleView view{.role = std::string{state::kRoleNames[i]}, .state = "stopped"};
    if (attached_) {
      const auto& slot = state::role_slot(attached_->segment, static_cast<state::Role>(i));
      view.state = state::to_text(slot.state.load());
      view.pid = slot.pid.load();
      view.restarts = slot.restarts.load();
      view.last_exit = slot.last_exit.load();
      const std::uint64_t beat_ms = slot.heartbeat_ms.load();
      const std::uint64_t now_ms = monotonic_ms();
      if (beat_ms != 0 && beat_ms < now_ms) view.heartbeat_age_ms = now_ms - beat_ms;
    }
    if (i < instance_.roles.size()) view.uptime_ms = instance_.roles[i].uptime_ms;
    out.push_back(std::move(view));
  }
  return out;
}

std::vector<state::PeerView> View::peers() {
  if (attached_) return attached_->peers.list();
  std::vector<state::PeerView> out;
  for (Peer& peer : store_.peers()) {
    out.push_back({.peer = std::move(peer), .state = state::PeerState::offline, .reason = {}});
  }
  return out;
}

std::vector<state::TicketView> View::tickets() {
  if (attached_) return attached_->tickets.list();
  std::vector<state::TicketView> out;
  store_.for_each_ticket([&out](const Ticket& ticket) {
    state::TicketView view;
    view.ticket = ticket;
    view.done_bytes = done_bytes(ticket);
    out.push_back(std::move(view));
  });
  return out;
}

Counts View::counts() {
  Counts out;
  // A shard that nobody has used yet is empty in the segment; until all are there the store counts.
  if (attached_ && attached_->dictionary.reloads() >= kShards) {
    const auto totals = attached_->dictionary.totals();
    out.files = totals.files;
    out.bytes = totals.bytes;
    out.deleted = totals.deleted;
  } else {
    const auto count = store_.count();
    out.files = count.files;
    out.bytes = count.bytes;
    out.deleted = count.deleted;
  }
  if (attached_) {
    out.tickets = attached_->tickets.totals();
    out.received = state::traffic_words(attached_->segment).received.load();
    out.sent = state::traffic_words(attached_->segment).sent.load();
    const auto& scan = state::scan_words(attached_->segment);
    out.skipped = scan.skipped.load();
    out.unreadable = scan.unreadable.load();
    out.watching = scan.watching.load() != 0;
    return out;
  }
  store_.for_each_ticket([&out](const Ticket& ticket) {
    ++out.tickets.queued;
    out.tickets.bytes += ticket.wanted.size;
    out.tickets.done_bytes += done_bytes(ticket);
  });
  return out;
}

void View::for_each_file(const std::function<void(const Record&)>& emit) {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    std::vector<Record> records;
    const auto keep = [&records](const Record& record) { records.push_back(record); };
    if (attached_) {
      attached_->dictionary.for_each(shard, keep);
    } else {
      store_.for_each_in_shard(shard, keep);
    }
    std::ranges::sort(records, {},
                      [](const Record& record) -> const std::string& { return record.entry.path; });
    for (const Record& record : records) emit(record);
  }
}

bool instance_exists(const InstancePaths& paths) { return ::access(paths.dir.c_str(), F_OK) == 0; }

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
