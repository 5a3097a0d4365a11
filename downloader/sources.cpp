#include "downloader/sources.h"

#include <bit>

#include "common/base/log.h"

namespace lefting::downloader {

namespace {

/// What is complete without a helper waits at most so long for one that doesn't answer.
constexpr net::Timeouts kHelperTimeouts{.connect = milliseconds{1500}};

}  // namespace

Sources::Sources(RoleContext& context) : context_{context}, instance_{context.instance()} {}

std::optional<int> Sources::pick(std::uint64_t sources, std::uint32_t attempts,
                                 int preferred) const {
  std::uint64_t online = sources & instance_.peers.online_mask();
  if (online == 0) return std::nullopt;
  if (attempts == 0 && preferred >= 0 && (online >> preferred & 1) != 0) return preferred;
  for (int skip = static_cast<int>(attempts) % std::popcount(online); skip > 0; --skip) {
    online &= online - 1;
  }
  return std::countr_zero(online);
}

Result<net::Connection*> Sources::open(int slot, bool only_helps) {
  auto& kept = connections_[static_cast<std::size_t>(slot)];
  // Between requests nothing is said, so something to read is the connection's end.
  if (kept && !kept->has_input()) return &*kept;
  kept.reset();
  const auto view = instance_.peers.get(slot);
  if (!view) return plain_error("fetch", "the source is not in the peer list any more");
  const auto fail = [&](const Error& why) -> Error {
    drop(slot, why, !only_helps);
    return why;
  };
  auto address = net::parse_address(view->peer.address);
  if (!address) return fail(address.error());
  auto connection =
      net::Connection::connect(address.value(), instance_.tls(), view->peer.device,
                               context_.stop_fd(), only_helps ? kHelperTimeouts : net::Timeouts{});
  if (!connection) return fail(connection.error());
  kept = connection.take();
  return &*kept;
}

void Sources::drop(int slot, const Error& why, bool peer_is_gone) {
  connections_[static_cast<std::size_t>(slot)].reset();
  if (!peer_is_gone || why.code == net::make_error_code(net::Fault::stopped)) return;
  log_info("peer {}: {}", slot, why.text());
  if (instance_.peers.set_state(slot, state::PeerState::offline, why.text())) {
    instance_.wakes.supervisor.signal();
  }
}

}  // namespace lefting::downloader
