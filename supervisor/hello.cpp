#include "supervisor/hello.h"

#include <csignal>

#include "common/base/log.h"
#include "common/net/connection.h"
#include "common/role/greeting.h"
#include "common/role/role.h"
#include "common/sync/intake.h"
#include "common/sync/outgoing.h"
#include "common/sync/peer_facts.h"

namespace lefting::supervisor {

namespace {

/// The peer compares and stores a whole page before it answers.
constexpr milliseconds kReplyWait{60000};

/// One hello: our changes go out, theirs come in as tickets.
class Hello {
 public:
  Hello(Instance& instance, int slot, int stop_fd)
      : instance_{instance},
        slot_{slot},
        stop_fd_{stop_fd},
        intake_{instance.index, instance.peers, instance.writer} {}

  /// Errors say why it could not be said, or ended before it had all been heard.
  Status say() {
    try {
      auto said = say_once();
      return said && is_needed_again_ ? say_once() : said;
    } catch (const std::exception& error) {
      return plain_error("hello", error.what());
    }
  }

  /// It has answered, so it has all that was told.
  void be_online() {
    if (instance_.peers.set_state(slot_, state::PeerState::online)) {
      log_info("peer {} is online", slot_);
    }
    instance_.wakes.downloader.signal();
    instance_.wakes.scanner.signal();
    instance_.wakes.supervisor.signal();
  }

 private:
  Status say_once() {
    const auto view = instance_.peers.get(slot_);
    if (!view) return plain_error("hello", "no such peer");
    if (view->peer.address.empty()) {
      return plain_error("hello", "its address is not known; it must come to us");
    }
    auto address = net::parse_address(view->peer.address);
    if (!address) return address.error();
    auto connection =
        net::Connection::connect(address.value(), instance_.tls(), view->peer.device, stop_fd_);
    if (!connection) return connection.error();
    if (auto sent = send_list(connection.value(), view->peer); !sent) return sent;
    bool more = true;
    while (more) {
      auto frame = connection.value().receive(kReplyWait);
      if (!frame) return frame.error();
      if (auto taken = take_page(connection.value(), view->peer, frame.value(), more); !taken) {
        return taken;
      }
    }
    return {};
  }

  Status send_list(net::Connection& connection, const Peer& peer) {
    sync::Outgoing outgoing{instance_.store, peer.told, peer.zstd};
    while (const auto page = outgoing.next()) {
      wire::Request request;
      request.operation = wire::Operation::hello;
      request.greeting = greeting_to(instance_, peer);
      page->describe(request.greeting);
      auto sent =
          connection.send(wire::encode_request(request), std::as_bytes(std::span{page->data}));
      if (!sent) return sent;
    }
    return {};
  }

  Status check_device(const Peer& peer, const wire::Greeting& greeting) const {
    if (greeting.device == instance_.device()) {
      return Error{wire::make_error_code(wire::Code::not_trusted),
                   "hello",
                   {},
                   "that address is this very instance; remove the peer"};
    }
    if (instance_.tls() == nullptr && peer.device && greeting.device &&
        *peer.device != *greeting.device) {
      return Error{wire::make_error_code(wire::Code::not_trusted),
                   "hello",
                   {},
                   "another device answers there: " + to_text(*greeting.device)};
    }
    return {};
  }

  Status take_page(net::Connection& connection, const Peer& peer, const net::ReceivedFrame& frame,
                   bool& more) {
    auto decoded = wire::decode_reply(frame.header);
    if (!decoded) return decoded.error();
    const wire::Reply& reply = decoded.value();
    if (reply.error) {
      return Error{wire::make_error_code(*reply.error), "hello", {}, reply.message};
    }
    if (auto checked = check_device(peer, reply.greeting); !checked) return checked;
    more = reply.greeting.more;
    const bool has_gone_back =
        !is_needed_again_ &&
        sync::has_gone_back(peer.most_told, reply.greeting, instance_.store.index_id());
    if (has_gone_back) {
      sync::take_back(instance_.index, instance_.peers, slot_);
      is_needed_again_ = true;
    }
    meet_greeting(instance_, slot_, reply.greeting, connection.remote().host);
    // Its list may be long, and what is in this page can be fetched now.
    if (!is_needed_again_) be_online();
    auto taken = intake_.take(slot_, reply.greeting, frame.data);
    if (!taken) return taken.error();
    if (taken.value().revived != 0) instance_.wakes.scanner.signal();
    if (taken.value().has_work()) instance_.wakes.downloader.signal();
    return {};
  }

  Instance& instance_;
  int slot_;
  int stop_fd_;
  sync::Intake intake_;
  bool is_needed_again_ = false;  ///< the peer has forgotten what we have seen of it
};

int say_hello(Instance& instance, int slot, int stop_fd) {
  Hello hello{instance, slot, stop_fd};
  const Status said = hello.say();
  if (said) {
    hello.be_online();
  } else if (said.error().code != net::make_error_code(net::Fault::stopped)) {
    const bool refused = said.error().code == wire::make_error_code(wire::Code::not_trusted) ||
                         said.error().code == net::make_error_code(net::Fault::wrong_device);
    const std::string why = said.error().text();
    const auto state = refused ? state::PeerState::refused : state::PeerState::offline;
    if (instance.peers.set_state(slot, state, why)) log_info("peer {}: {}", slot, printable(why));
  }
  instance.wakes.supervisor.signal();
  return said ? 0 : 1;
}

}  // namespace

int hello_main(int slot, const InstancePaths& paths, const Settings& settings) {
  std::signal(SIGPIPE, SIG_IGN);
  open_log("hello", paths.log("hello"), log_level(settings));
  try {
    auto inherited = take_inherited();
    if (!inherited) {
      log_error("{}", inherited.error().text());
      return 1;
    }
    const auto pick = [slot](state::Segment& segment) -> state::Inflight& {
      return state::hello_inflight(segment, slot);
    };
    auto instance = open_instance(paths, settings, std::move(inherited.value().segment),
                                  std::move(inherited.value().wakes), pick);
    if (!instance) {
      log_error("{}", instance.error().text());
      return 1;
    }
    return say_hello(*instance.value(), slot, inherited.value().lifeline.get());
  } catch (const std::exception& error) {
    log_error("{}", error.what());
    return 1;
  }
}

}  // namespace lefting::supervisor
