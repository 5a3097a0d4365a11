#include "scanner/news.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/role/greeting.h"
#include "common/sync/peer_facts.h"
#include "common/wire/entry_list.h"

namespace lefting::scanner {

namespace {

/// The other side closes what is idle for 120 s.
constexpr milliseconds kKeepalive{60000};
constexpr milliseconds kReplyWait{60000};
constexpr milliseconds kPause{5000};

}  // namespace

NewsSender::NewsSender(RoleContext& context, int slot)
    : context_{context}, instance_{context.instance()}, slot_{slot} {
  thread_ = std::jthread{[this] { run(); }};
}

NewsSender::~NewsSender() { stop_.signal(); }

bool NewsSender::stopping() const {
  pollfd stop{.fd = stop_.fd(), .events = POLLIN, .revents = 0};
  return poll_fds({&stop, 1}, 0) > 0;
}

void NewsSender::run() {
  while (!stopping()) {
    try {
      step();
    } catch (const std::exception& error) {
      RoleContext::leave_if_hopeless(error);
      // A store that is locked for long, for example: what was not told is told later.
      log_error("news to peer {}: {}; tried again", slot_, error.what());
      connection_.reset();
      wait(kPause);
    }
  }
  try {
    save_told();
  } catch (const std::exception& error) {
    log_info("news to peer {}: {}; it will be told more than it needs", slot_, error.what());
  }
}

void NewsSender::step() {
  const auto view = instance_.peers.get(slot_);
  if (!view || view->state != state::PeerState::online || view->peer.address.empty()) {
    connection_.reset();
    forget_announced();
    return wait(kKeepalive);
  }
  if (!connection_ && !connect(view->peer)) return;
  if (!tell_announced() || !tell_all()) return;
  wait(milliseconds{poll_timeout(keepalive_)});
}

void NewsSender::wait(milliseconds most) {
  std::array<pollfd, 3> fds = {
      pollfd{.fd = stop_.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = wake_.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = connection_ ? connection_->fd() : -1, .events = POLLIN, .revents = 0}};
  poll_fds(fds, static_cast<int>(most.count()));
  if (fds[1].revents != 0) wake_.drain();
  // Nothing is said unasked on this connection, so this is its end: perhaps the peer's listener
  // is new. If the peer itself is gone, connecting says so.
  if (fds[2].revents != 0) {
    connection_.reset();
    save_told();
  }
}

bool NewsSender::connect(const Peer& peer) {
  auto address = net::parse_address(peer.address);
  if (!address) {
    lose(state::PeerState::offline, address.error().text());
    return false;
  }
  auto connection =
      net::Connection::connect(address.value(), instance_.tls(), peer.device, stop_.fd());
  if (!connection) {
    lose(state::PeerState::offline, connection.error().text());
    return false;
  }
  connection_ = connection.take();
  told_ = peer.told;
  zstd_ = peer.zstd;
  keepalive_ = {};  // at once: what it answers shows whether its store has gone back
  return true;
}

void NewsSender::announce(const Entry& entry) {
  {
    const std::lock_guard lock{mutex_};
    announced_.push_back(entry);
  }
  wake();
}

/// The peer will hear of them when they are in the index.
void NewsSender::forget_announced() {
  const std::lock_guard lock{mutex_};
  announced_.clear();
}

bool NewsSender::tell_announced() {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock{mutex_};
    entries.swap(announced_);
  }
  if (entries.empty()) return true;
  wire::EntryListWriter list;
  for (const Entry& entry : entries) list.add(entry);
  sync::Page page;
  page.range = {instance_.store.index_id(), told_, told_};
  page.data = list.take();
  return send_page(page, false);
}

bool NewsSender::tell_all() {
  while (!stopping()) {
    const bool due = std::chrono::steady_clock::now() >= keepalive_;
    if (!due && instance_.store.last_sequence() == told_) return true;
    sync::Outgoing outgoing{instance_.store, told_, zstd_};
    const std::uint64_t before = told_;
    while (const auto page = outgoing.next()) {
      if (!send_page(*page, true)) return false;
      if (told_ != page->range.to) break;  // the peer lacks what came before: begin there
    }
    keepalive_ = deadline_in(kKeepalive);
    if (due) save_told();
    if (told_ < before) continue;
    if (instance_.store.last_sequence() != told_ && told_ == before) {
      // It answers, but stores nothing; asking at once again would not help it.
      wait(kPause);
      return false;
    }
  }
  return false;
}

bool NewsSender::send_page(const sync::Page& page, bool in_index) {
  wire::Request request;
  request.operation = wire::Operation::news;
  const Peer peer = instance_.peers.get(slot_).value_or(state::PeerView{}).peer;
  request.greeting = greeting_to(instance_, peer);
  if (in_index) page.describe(request.greeting);
  const auto sent =
      connection_->send(wire::encode_request(request), std::as_bytes(std::span{page.data}));
  if (!sent) {
    lose(state::PeerState::offline, sent.error().text());
    return false;
  }
  return take_reply(page, peer.most_told);
}

bool NewsSender::take_reply(const sync::Page& page, std::uint64_t most_told) {
  auto frame = connection_->receive(kReplyWait);
  if (!frame) {
    lose(state::PeerState::offline, frame.error().text());
    return false;
  }
  auto reply = wire::decode_reply(frame.value().header);
  if (!reply) {
    lose(state::PeerState::offline, reply.error().text());
    return false;
  }
  if (reply.value().error == wire::Code::busy) {
    wait(milliseconds{std::clamp<std::uint64_t>(reply.value().retry_after_ms, 100, 30000)});
    return false;
  }
  if (reply.value().error) {
    const bool refused = reply.value().error == wire::Code::not_trusted;
    lose(refused ? state::PeerState::refused : state::PeerState::offline, reply.value().message);
    return false;
  }
  for (const wire::Rejected& one : reply.value().rejected) {
    log_warning("peer {} does not take \"{}\": {}", slot_, printable(one.path),
                printable(one.error));
  }
  const auto& seen = reply.value().greeting.seen;
  says_seen_ = seen.has_value();
  if (says_seen_ && sync::has_gone_back(most_told, reply.value().greeting, page.range.id)) {
    connection_.reset();
    sync::take_back(instance_.index, instance_.peers, slot_);
    instance_.peers.set_state(slot_, state::PeerState::offline, "it is asked anew what it has");
    instance_.wakes.downloader.signal();
    instance_.wakes.supervisor.signal();
    return false;
  }
  // A small peer may leave `seen` out: then "ok" has to do.
  told_ = !seen ? page.range.to : seen->id == page.range.id ? seen->to : 0;
  return true;
}

void NewsSender::lose(state::PeerState state, const std::string& reason) {
  connection_.reset();
  if (stopping()) return;
  save_told();
  log_info("peer {}: {}", slot_, printable(reason));
  instance_.peers.set_state(slot_, state, reason);
  instance_.wakes.supervisor.signal();
}

void NewsSender::save_told() {
  sync::update_peer(instance_.store, instance_.peers, slot_, [&](Peer& peer) {
    // A hello meanwhile may know that the peer has lost what it had.
    if (told_ <= peer.told) return;
    peer.told = told_;
    if (says_seen_) peer.most_told = std::max(peer.most_told, told_);
  });
}

NewsSenders::NewsSenders(RoleContext& context) : context_{context} {}

void NewsSenders::look_at_peers() {
  const std::uint64_t changes = context_.instance().peers.changes();
  if (changes == peer_changes_) return;
  peer_changes_ = changes;
  const std::uint64_t used = context_.instance().peers.used_mask();
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    auto& sender = senders_[static_cast<std::size_t>(slot)];
    const bool wanted = (used >> slot & 1) != 0;
    if (!wanted) {
      sender.reset();
    } else if (!sender) {
      sender = std::make_unique<NewsSender>(context_, slot);
    } else {
      sender->wake();
    }
  }
}

void NewsSenders::announce(const Entry& entry) {
  for (const auto& sender : senders_) {
    if (sender) sender->announce(entry);
  }
}

void NewsSenders::tell() {
  for (const auto& sender : senders_) {
    if (sender) sender->wake();
  }
}

}  // namespace lefting::scanner
