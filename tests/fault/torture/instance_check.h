#pragma once

#include <string>

#include "supervisor/view.h"

namespace lefting::test {

/// Compares what an instance at rest has in its segment, in its store and in its share: records,
/// tickets and files. Returns the first difference; "" for none.
std::string difference(supervisor::View& view, const std::string& share);

}  // namespace lefting::test
