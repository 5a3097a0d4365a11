// scanner: keeps the file dictionary equal to the share, and tells peers the news.
//
// Reads   the share. Opens nothing in it for writing.
// Writes  the records of this device: in the store first, then in the segment.
// Wakes   on inotify events, on a rescan request, and every `rescan_seconds`.
// Exits   0 when asked to, or when the supervisor is gone.
#include "common/role/role.h"
#include "scanner/scanner.h"

int main(int argc, char** argv) {
  using namespace lefting;
  return run_role(state::Role::scanner, argc, argv, [](RoleContext& context) {
    scanner::Scanner scanner{context, open_share(context.instance())};
    scanner.run();
  });
}
