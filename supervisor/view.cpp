#include "supervisor/view.h"

#include <unistd.h>

#include <cerrno>

#include "common/base/shard.h"
#include "common/net/identity.h"
#include "common/state/layout.h"
#include "common/sync/loaders.h"
#include "supervisor/log_files.h"
#include "supervisor/prepare.h"
#include "supervisor/view_read.h"

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
    const auto device = net::read_device(paths.key());
    if (device) out.device = to_text(device.value());
  }
  return out;
}

}  // namespace

View::Attached::Attached(ControlClient client, state::Segment attached_segment,
                         Wakes attached_wakes, store::Store& store)
    : control{std::move(client)},
      segment{std::move(attached_segment)},
      wakes{std::move(attached_wakes)},
      dictionary{segment, sync::backing_of(store)},
      tickets{segment, sync::ticket_loader(store)},
      peers{segment, sync::peer_loader(store)} {}

View::Session::Session(View& view) : view_{view} {
  if (view_.store_) view_.store_->open();
  if (view_.sessions_++ == 0) view_.held_.emplace();
}

View::Session::~Session() {
  if (--view_.sessions_ > 0) return;
  if (view_.store_ && view_.access_ == store::Access::look) view_.store_->close();
  view_.held_.reset();
}

View::View(const InstancePaths& paths, store::Access access) : paths_{paths}, access_{access} {
  reader_.be_patient(kPatience);
}

std::unique_ptr<View> View::open_store(const InstancePaths& paths, store::Access access) {
  std::unique_ptr<View> view{new View{paths, access}};
  view->instance_ = report_at_rest(paths);
  const bool is_missing = ::access(paths.store().c_str(), F_OK) != 0 && errno == ENOENT;
  if (is_missing && access == store::Access::look) return view;
  view->store_ = std::make_unique<store::Store>(paths.store(), access);
  if (access == store::Access::look) view->store_->close();
  return view;
}

Result<std::unique_ptr<View>> View::open(const InstancePaths& paths, store::Access access,
                                         milliseconds wait) {
  auto call = ControlClient::connect(paths);
  if (!call) return call.error();
  if (!call.value()) return open_store(paths, access);
  return attach(paths, call.value(), access, wait);
}

Result<std::unique_ptr<View>> View::attach(const InstancePaths& paths,
                                           std::optional<ControlClient>& call, store::Access access,
                                           milliseconds wait) {
  auto answer = call->ask({.operation = "attach", .roles = {}, .slots = {}}, wait);
  if (!answer) return answer.error();
  auto& fds = answer.value().fds;
  if (fds.size() != kAttachedFds) {
    return plain_error("attach", "the supervisor is of another version",
                       "use the tools that belong to it");
  }
  auto segment =
      state::Segment::attach(std::move(fds[static_cast<std::size_t>(AttachedFd::segment)]));
  if (!segment) return segment.error();
  const bool writes = access == store::Access::write;
  std::unique_ptr<View> view{new View{paths, access}};
  view->store_ =
      std::make_unique<store::Store>(paths.store(), writes ? access : store::Access::read);
  if (!writes) view->store_->close();
  view->instance_ = std::move(answer.value().reply.instance);
  view->attached_ =
      std::make_unique<Attached>(std::move(*call), segment.take(), take_wakes(fds), *view->store_);
  call.reset();
  return view;
}

View::Contact View::refresh(milliseconds wait) {
  reader_.be_patient(kPatience);
  auto answer = attached_->control.ask({.operation = "status", .roles = {}, .slots = {}}, wait);
  if (!answer) return attached_->control.may_answer() ? Contact::silent : Contact::ended;
  instance_ = std::move(answer.value().reply.instance);
  return Contact::answers;
}

View::IndexView View::index() {
  return from_store([](store::Store& store) {
    return IndexView{.id = store.index_id(), .sequence = store.last_sequence()};
  });
}

std::size_t View::segment_bytes() const { return attached_ ? attached_->segment.size_bytes() : 0; }
std::size_t View::used_bytes() const { return attached_ ? attached_->segment.used_bytes() : 0; }

std::vector<RoleView> View::roles() const {
  std::vector<RoleView> out;
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    RoleView view;
    view.role = state::kRoleNames[i];
    view.state = "stopped";
    if (attached_) {
      const auto& slot = state::role_slot(attached_->segment, static_cast<state::Role>(i));
      const state::RoleState state = slot.state.load();
      view.state = state::to_text(state);
      if (state == state::RoleState::failed) view.reason = last_log_line(paths_, view.role);
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
  if (attached_) {
    auto& guard = attached_->segment.layout().peers.guard;
    if (auto peers = from_segment(guard, [&] { return attached_->peers.list(); })) return *peers;
  }
  return from_store([](store::Store& store) {
    std::vector<state::PeerView> out;
    for (Peer& peer : store.peers()) {
      out.push_back({.peer = std::move(peer), .state = state::PeerState::offline, .reason = {}});
    }
    return out;
  });
}

Counts View::counts() {
  Counts out;
  if (attached_) put_segment_words(out);
  // A shard that nobody has used yet is empty in the segment, and one may have found no room.
  if (attached_ && attached_->dictionary.holds_all()) {
    const auto totals = attached_->dictionary.totals();
    out.files = totals.files;
    out.bytes = totals.bytes;
  } else {
    const auto count = count_files();
    out.files = count.files;
    out.bytes = count.bytes;
  }
  out.deleted = deleted_.get(store::file_mark(paths_.store()), [this] {
    return from_store([](store::Store& store) { return store.count_deleted(); });
  });
  if (!attached_) out.tickets = count_tickets();
  return out;
}

void View::put_segment_words(Counts& counts) {
  counts.tickets = attached_->tickets.totals();
  counts.received = state::traffic_words(attached_->segment).received.load();
  counts.sent = state::traffic_words(attached_->segment).sent.load();
  const auto& scan = state::scan_words(attached_->segment);
  counts.skipped = scan.skipped.load();
  counts.unreadable = scan.unreadable.load();
  counts.ignored = scan.ignored.load();
  counts.left_over = scan.left_over.load();
  counts.held = scan.held.load();
  counts.watching = scan.watching.load() != 0;
}

store::Store::Count View::count_files() {
  return counted_files_.get(store::file_mark(paths_.store()), [this] {
    return from_store([](store::Store& store) { return store.count(); });
  });
}

state::TicketQueue::Totals View::count_tickets() {
  return counted_tickets_.get(store::file_mark(paths_.store()), [this] {
    state::TicketQueue::Totals out;
    for_each_ticket([&out](const state::TicketView& view) {
      ++out.queued;
      out.bytes += view.ticket.wanted.size;
      out.done_bytes += view.done_bytes;
      return true;
    });
    return out;
  });
}

bool instance_exists(const InstancePaths& paths) { return ::access(paths.dir.c_str(), F_OK) == 0; }

}  // namespace lefting::supervisor
