// Any bytes as a stream of frames: what is taken encodes to the bytes it was taken from.

#include <cstdint>
#include <cstring>

#include "common/base/assert.h"
#include "common/wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  using namespace lefting::wire;
  const auto* bytes = reinterpret_cast<const std::byte*>(input);
  std::span<const std::byte> left{bytes, size};
  for (;;) {
    const std::span<const std::byte> before = left;
    const auto frame = take_frame(left);
    if (!frame) {
      LEFTING_ASSERT(frame.error().code == Code::bad_frame ||
                     frame.error().code == Code::too_large);
    }
    if (!frame || !frame.value()) {
      LEFTING_ASSERT(left.data() == before.data() && left.size() == before.size());
      return 0;
    }
    const std::size_t taken = before.size() - left.size();
    const auto again = encode_frame(frame.value()->header, frame.value()->data);
    LEFTING_ASSERT(again.size() == taken);
    LEFTING_ASSERT(std::memcmp(again.data(), before.data(), taken) == 0);
  }
}
