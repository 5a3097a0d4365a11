#include "tests/model/story.h"

#include <algorithm>

#include "common/base/ids.h"
#include "tests/model/disk.h"

namespace lefting::model {

std::string word(const Entry& entry) {
  std::string out = entry.path + (entry.deleted ? " as gone" : " as");
  if (entry.hash) {
    Content content = 0;
    std::copy_n(entry.hash->bytes.begin(), sizeof content,
                reinterpret_cast<std::uint8_t*>(&content));
    out += fmt::format(" {}", content);
  }
  for (const VersionCounter& one : entry.version) {
    out += fmt::format(" {}:{}", to_text(one.device).substr(0, 2), one.counter % 1'000'000);
  }
  return out;
}

}  // namespace lefting::model
