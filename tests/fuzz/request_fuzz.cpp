// Any text as a header: what is understood means the same after it was written and read again.

#include <cstdint>

#include "common/base/assert.h"
#include "common/base/ids.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

namespace {

using namespace lefting::wire;

void check_request(std::string_view header) {
  const auto outcome = decode_request(header);
  if (const auto* bad = std::get_if<BadRequest>(&outcome)) {
    LEFTING_ASSERT(!bad->message.empty());
    const auto reply = decode_reply(encode_reply(error_reply(*bad)));
    LEFTING_ASSERT(reply.ok() && reply.value().error == bad->code);
    LEFTING_ASSERT(reply.value().id == bad->id && reply.value().operation == bad->operation);
    return;
  }
  const Request& request = std::get<Request>(outcome);
  const std::string text = encode_request(request);
  LEFTING_ASSERT(text.size() <= kMaxHeaderBytes);
  const auto again = decode_request(text);
  const auto* same = std::get_if<Request>(&again);
  LEFTING_ASSERT(same != nullptr && same->operation == request.operation && same->id == request.id);
  LEFTING_ASSERT(same->greeting == request.greeting && same->file == request.file);
  if (request.operation != Operation::get_file) return;
  LEFTING_ASSERT(!path_fault(request.file.path));
  LEFTING_ASSERT(request.file.length <= kMaxBlockLength);
}

void check_reply(std::string_view header) {
  const auto reply = decode_reply(header);
  if (!reply) {
    LEFTING_ASSERT(reply.error().code == Code::bad_frame);
    return;
  }
  const std::string text = encode_reply(reply.value());
  LEFTING_ASSERT(text.size() <= kMaxHeaderBytes);
  const auto again = decode_reply(text);
  LEFTING_ASSERT(again.ok() && again.value().error == reply.value().error);
  LEFTING_ASSERT(again.value().entry == reply.value().entry);
  LEFTING_ASSERT(again.value().hash == reply.value().hash || reply.value().entry);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const std::string_view header{reinterpret_cast<const char*>(input), size};
  check_request(header);
  check_reply(header);
  return 0;
}
