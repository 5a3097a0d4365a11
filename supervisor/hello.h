#pragma once

#include "common/base/settings.h"

namespace lefting::supervisor {

/// The main of a hello child: exchanges file lists with the peer in `slot` and leaves.
///
/// Takes over the descriptors of inherited.h. Returns 0 when hello has been said and the peer is
/// online, 1 when not: then the peer list says why.
int hello_main(int slot, const InstancePaths& paths, const Settings& settings);

}  // namespace lefting::supervisor
