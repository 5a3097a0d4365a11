// The role classes as threads of one process, so that ThreadSanitizer sees all that they share.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "common/net/address.h"
#include "common/role/role.h"
#include "common/share/marker.h"
#include "common/sync/peer_facts.h"
#include "downloader/downloader.h"
#include "listener/listener.h"
#include "scanner/scanner.h"
#include "tests/unit/instance_fixture.h"

using namespace lefting;
namespace fs = std::filesystem;

namespace {

/// One peer without a supervisor: a segment, and a thread for each role, each attached on its own.
class Peer3 : test::InstanceFixture {
 public:
  Peer3() {
    auto socket = net::listen_on({"127.0.0.1", 0});
    REQUIRE(socket.ok());
    socket_ = socket.take();
    settings.listen = net::local_address(socket_.get()).value().text();
  }
  ~Peer3() {
    stop_.write_end.reset();
    threads_.clear();
  }

  std::string address() const { return settings.listen; }
  std::string share(const std::string& path) const { return folder / ("share/" + path); }

  void know(const std::string& other_address) {
    store::Store store{paths.store()};
    store::Transaction transaction{store};
    Peer peer;
    peer.address = other_address;
    transaction.put_peer(peer);
    transaction.commit();
  }

  void start() {
    store::Store store{paths.store()};
    REQUIRE(share::write_marker(share::Share::open(settings.share).value(),
                                index_text(store.index_id()))
                .ok());
    run_role_thread(state::Role::scanner, [](RoleContext& context) {
      scanner::Scanner{context, open_share(context.instance())}.run();
    });
    run_role_thread(state::Role::downloader, [](RoleContext& context) {
      downloader::Downloader{context, open_share(context.instance())}.run();
    });
    run_role_thread(state::Role::listener, [this](RoleContext& context) {
      listener::Listener{context, std::move(socket_), open_share(context.instance())}.run();
    });
  }

  /// As hello would: the peer in slot 0 is online from now on.
  void meet() {
    auto instance = attach(state::Role::scanner);
    instance->peers.set_state(0, state::PeerState::online);
    wakes.scanner.signal();
    wakes.downloader.signal();
  }

  std::uint64_t open_tickets() {
    const auto totals = attach(state::Role::scanner)->tickets.totals();
    return totals.queued + totals.active + totals.waiting + totals.failed;
  }

 private:
  template <class Body>
  void run_role_thread(state::Role role, Body body) {
    instances_.push_back(attach(role));
    Instance& instance = *instances_.back();
    threads_.emplace_back([this, &instance, role, body] {
      RoleContext context{instance, &state::role_slot(instance.segment, role), stop_.read_end.get(),
                          UniqueFd{}};
      body(context);
    });
  }

  UniqueFd socket_;
  Pipe stop_ = make_pipe();
  std::vector<std::unique_ptr<Instance>> instances_;
  std::vector<std::jthread> threads_;
};

std::string read(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

template <class Holds>
bool eventually(Holds&& holds) {
  const Deadline deadline = deadline_in(std::chrono::seconds{60});
  while (!holds()) {
    if (poll_timeout(deadline) == 0) return false;
    poll_fds({}, 5);
  }
  return true;
}

}  // namespace

TEST_CASE("roles: two peers of threads bring each other's files, changes and deletions across") {
  Peer3 a;
  Peer3 b;
  a.know(b.address());
  b.know(a.address());
  const std::string big(5u << 20, 'x');
  std::ofstream{a.share("big")} << big;
  a.start();
  b.start();
  a.meet();
  b.meet();
  for (int i = 0; i < 200; ++i) {
    std::ofstream{(i % 2 == 0 ? a : b).share("f" + std::to_string(i))} << "content " << i;
  }
  const auto all_there = [&](Peer3& peer) {
    for (int i = 0; i < 200; ++i) {
      if (read(peer.share("f" + std::to_string(i))) != "content " + std::to_string(i)) return false;
    }
    return true;
  };
  CHECK(eventually([&] { return all_there(a) && all_there(b); }));
  CHECK(eventually([&] { return read(b.share("big")) == big; }));
  for (int i = 0; i < 50; ++i) std::ofstream{b.share("f" + std::to_string(i))} << "changed";
  for (int i = 100; i < 200; ++i) fs::remove(a.share("f" + std::to_string(i)));
  CHECK(eventually(
      [&] { return read(a.share("f49")) == "changed" && !fs::exists(b.share("f199")); }));
  CHECK(eventually([&] { return a.open_tickets() == 0 && b.open_tickets() == 0; }));
}
