// listener: answers peers.
//
// Reads   the file dictionary, the store, and the files that peers ask for.
// Writes  tickets of what peers have and we lack; what is known of the peers that speak to it.
// Wakes   on connections to the socket that the supervisor holds open.
// Exits   0 when asked to, or when the supervisor is gone.
#include "common/role/role.h"
#include "listener/listener.h"

int main(int argc, char** argv) {
  using namespace lefting;
  return run_role(state::Role::listener, argc, argv, [](RoleContext& context) {
    listener::Listener listener{context, take_listen_socket(), open_share(context.instance())};
    listener.run();
  });
}
