#include "listener/session.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/role/greeting.h"
#include "common/sync/outgoing.h"
#include "listener/peer_match.h"

namespace lefting::listener {

namespace {

const net::Timeouts kTimeouts;
constexpr std::uint64_t kBusyRetryMs = 1000;
/// An answer up to this size may wait for the next, if that is asked for already.
constexpr std::size_t kSmallBytes = 16u << 10;

}  // namespace

Session::Session(Desk& desk, net::Connection connection)
    : desk_{desk},
      connection_{std::move(connection)},
      files_{desk.instance, desk.share, desk.new_records} {}

void Session::refuse() {
  wire::Reply reply;
  reply.error = wire::Code::busy;
  reply.message = "too many connections";
  reply.retry_after_ms = kBusyRetryMs;
  send(reply);
  connection_.finish();
}

void Session::run() {
  if (const auto& device = connection_.device()) {
    const auto peer = desk_.instance.peers.find(*device);
    if (!peer) {
      log_warning("{} is not in the peer list and was refused; `supervisor peer add {}@{}` adds it",
                  connection_.remote().text(), to_text(*device), connection_.remote().host);
      wire::Reply reply;
      reply.error = wire::Code::not_trusted;
      reply.message = "this device is not in the peer list";
      send(reply);
      return connection_.finish();
    }
    slot_ = peer->peer.slot;
    device_ = device;
  }
  while (serve_one()) {
  }
}

bool Session::serve_one() {
  const auto sizes = connection_.begin_frame(kTimeouts.idle);
  if (!sizes) {
    if (sizes.error().code.category() != wire::code_category()) return false;
    wire::BadRequest bad;
    bad.code = static_cast<wire::Code>(sizes.error().code.value());
    bad.message = sizes.error().text();
    return send_error(wire::error_reply(bad), true);
  }
  const auto header = connection_.read_header();
  if (!header) return false;
  auto decoded = wire::decode_request(header.value());
  if (const auto* bad = std::get_if<wire::BadRequest>(&decoded)) {
    if (bad->fatal())
      return send_error(wire::error_reply(*bad), bad->code == wire::Code::bad_frame);
    return send_error(wire::error_reply(*bad), false);  // data with it is skipped by begin_frame
  }
  return serve(std::get<wire::Request>(decoded), sizes.value().data);
}

bool Session::serve(const wire::Request& request, std::uint32_t data_bytes) {
  const bool file = request.operation == wire::Operation::get_file;
  if (file && (!slot_ || is_still_listed())) return serve_file(request);
  if (!connection_.flush()) return false;  // a list may take its time, and so may a resolver
  if (file || !identify(request)) {
    log_warning("{} ({}) is not in the peer list and was refused", connection_.remote().text(),
                request.greeting.device ? to_text(*request.greeting.device) : "no device ID");
    return send_error(
        wire::error_reply(request, wire::Code::not_trusted, "this device is not in the peer list"),
        true);
  }
  return serve_list(request, data_bytes);
}

bool Session::identify(const wire::Request& request) {
  if (slot_) return is_still_listed();
  if (!request.greeting.device) return false;
  slot_ = match_plain_peer(desk_.instance.peers.list(), *request.greeting.device,
                           connection_.remote().host, request.greeting.port, resolve_host);
  device_ = request.greeting.device;
  return slot_.has_value();
}

bool Session::is_still_listed() {
  // Asked for every block: the list is locked only when something in it has changed.
  const std::uint64_t changes = desk_.instance.peers.changes();
  if (changes == listed_at_) return true;
  const auto view = desk_.instance.peers.get(*slot_);
  const bool listed = view && (!view->peer.device || view->peer.device == device_);
  if (listed) listed_at_ = changes;
  return listed;
}

std::optional<Result<sync::Taken>> Session::take_list(const wire::Request& request,
                                                      std::uint32_t data_bytes) {
  const std::lock_guard turn{desk_.list_turns[static_cast<std::size_t>(*slot_)]};
  std::vector<std::byte> data(data_bytes);
  if (!connection_.read_data(data)) return std::nullopt;
  meet_peer(request.greeting);
  return desk_.intake.take(*slot_, request.greeting, data);
}

bool Session::serve_list(const wire::Request& request, std::uint32_t data_bytes) {
  auto outcome = take_list(request, data_bytes);
  if (!outcome) return false;
  Result<sync::Taken>& taken = *outcome;
  if (!taken) {
    const bool wire_fault = taken.error().code.category() == wire::code_category();
    if (!wire_fault) log_error("{}", taken.error().text());
    const auto code =
        wire_fault ? static_cast<wire::Code>(taken.error().code.value()) : wire::Code::internal;
    return send_error(wire::error_reply(request, code, taken.error().text()), false);
  }
  if (taken.value().revived != 0) desk_.instance.wakes.scanner.signal();
  if (taken.value().has_work()) desk_.instance.wakes.downloader.signal();
  if (taken.value().forgot) desk_.instance.wakes.supervisor.signal();
  if (request.operation == wire::Operation::news) return reply_to_news(request, taken.value());
  for (wire::Rejected& one : taken.value().rejected) {
    if (rejected_.size() < wire::kMaxRejected) rejected_.push_back(std::move(one));
  }
  return request.greeting.more || reply_to_hello(request);
}

void Session::meet_peer(const wire::Greeting& greeting) {
  Instance& instance = desk_.instance;
  meet_greeting(instance, *slot_, greeting, connection_.remote().host);
  if (!instance.peers.set_state(*slot_, state::PeerState::online)) return;
  log_info("peer {} ({}) is online", printable(greeting.name), connection_.remote().text());
  instance.wakes.downloader.signal();
  instance.wakes.scanner.signal();
  instance.wakes.supervisor.signal();
}

bool Session::reply_to_news(const wire::Request& request, const sync::Taken& taken) {
  wire::Reply reply;
  reply.operation = "news";
  reply.id = request.id;
  reply.greeting = greeting_to(desk_.instance,
                               desk_.instance.peers.get(*slot_).value_or(state::PeerView{}).peer);
  reply.rejected = taken.rejected;
  return send(reply);
}

bool Session::reply_to_hello(const wire::Request& request) {
  Instance& instance = desk_.instance;
  const auto& seen = request.greeting.seen;
  const std::uint64_t from =
      seen && seen->id == instance.store.index_id() ? seen->to : std::uint64_t{0};
  sync::Outgoing outgoing{instance.store, from, request.greeting.accepts_zstd};
  while (const auto page = outgoing.next()) {
    wire::Reply reply;
    reply.operation = "hello";
    reply.id = request.id;
    reply.greeting =
        greeting_to(instance, instance.peers.get(*slot_).value_or(state::PeerView{}).peer);
    page->describe(reply.greeting);
    reply.rejected = std::exchange(rejected_, {});
    if (!send(reply, std::as_bytes(std::span{page->data}))) return false;
  }
  return true;
}

bool Session::serve_file(const wire::Request& request) {
  const bool is_block = request.file.part == wire::Part::block;
  if (!is_block && !connection_.flush()) return false;  // the answer may take its time
  const Answer answer = files_.answer(request);
  const bool is_small = answer.rest_bytes == 0 && answer.data.size() <= kSmallBytes;
  if (is_block && is_small && connection_.buffered()) {
    return connection_.send_later(wire::encode_reply(answer.reply), answer.data).ok();
  }
  const std::uint64_t data_size = answer.data.size() + answer.rest_bytes;
  if (!connection_.send_begin(wire::encode_reply(answer.reply),
                              static_cast<std::uint32_t>(data_size), answer.data)) {
    return false;
  }
  if (answer.rest_bytes == 0) return true;
  const auto sent = files_.send_rest(connection_, answer);
  if (!sent) log_info("{}", sent.error().text());
  return sent.ok();
}

bool Session::send(const wire::Reply& reply, std::span<const std::byte> data) {
  return connection_.send(wire::encode_reply(reply), data).ok();
}

bool Session::send_error(const wire::Reply& reply, bool close) {
  if (!send(reply)) return false;
  if (close) connection_.finish();
  return !close;
}

}  // namespace lefting::listener
