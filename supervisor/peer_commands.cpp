#include <cstdio>

#include "common/net/identity.h"
#include "supervisor/commands.h"
#include "supervisor/dump_json.h"
#include "supervisor/dump_tables.h"
#include "supervisor/peer_store.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

namespace {

/// All who have to do with peers look at the list again.
void wake_all(const Wakes& wakes) {
  wakes.supervisor.signal();
  wakes.scanner.signal();
  wakes.listener.signal();
  wakes.downloader.signal();
}

}  // namespace

int peer_add_command(const InstancePaths& paths, const std::string& spec) {
  if (auto made = make_instance_folder(paths); !made) return fail(made.error());
  const auto identity = net::Identity::open(paths.key(), paths.certificate());
  if (!identity) return fail(identity.error());
  auto view = View::open(paths, store::Access::write);
  if (!view) return fail(view.error());
  const auto peer = parse_peer(spec, view.value()->instance().plain, identity.value().device());
  if (!peer) return fail(peer.error());
  // Store first, then segment.
  const auto stored = add_peer(view.value()->store(), peer.value());
  if (!stored) return fail(stored.error());
  if (auto* attached = view.value()->attached()) {
    attached->peers.put(stored.value());
    wake_all(attached->wakes);
  }
  return kToolDone;
}

int peer_remove_command(const InstancePaths& paths, const std::string& name) {
  if (!instance_exists(paths)) return not_running(paths);
  auto view = View::open(paths, store::Access::write);
  if (!view) return fail(view.error());
  store::Store& store = view.value()->store();
  const auto peer = named_peer(store, name);
  if (!peer) return fail(peer.error());
  const int slot = peer.value().slot;
  {
    store::Transaction transaction{store};
    transaction.remove_peer(slot);
    transaction.commit();
  }
  if (auto* attached = view.value()->attached()) {
    attached->peers.remove(slot);
    attached->peers.ask_anew();  // what the others have shown was forgotten in the store
    attached->tickets.drop_source(slot, Offers::all);
    wake_all(attached->wakes);
  }
  return kToolDone;
}

int peer_list_command(const InstancePaths& paths, bool json) {
  if (!instance_exists(paths)) return not_running(paths);
  auto view = View::open(paths);
  if (!view) return fail(view.error());
  const auto peers = view.value()->peers();
  say_trouble(*view.value());
  if (json) {
    write_peers_json(stdout, peers);
    return kToolDone;
  }
  for (const std::string& line : peer_lines(peers)) std::puts(line.c_str());
  return kToolDone;
}

}  // namespace lefting::supervisor
