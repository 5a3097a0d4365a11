// downloader: turns tickets into files.
//
// Reads   tickets; what peers send.
// Writes  the share, and nobody else does: NAME.lefting, then NAME; the records of what it put
//         there or removed, and a ticket's progress: in the store first, then in the segment.
// Wakes   on new tickets, on peers that come online, and when a waiting ticket's time has come.
// Exits   0 when asked to, or when the supervisor is gone.
#include "common/role/role.h"
#include "downloader/downloader.h"

int main(int argc, char** argv) {
  using namespace lefting;
  return run_role(state::Role::downloader, argc, argv, [](RoleContext& context) {
    downloader::Downloader downloader{context, open_share(context.instance())};
    downloader.run();
  });
}
