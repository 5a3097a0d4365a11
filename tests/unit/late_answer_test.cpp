// ControlClient with a supervisor that takes its time.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "common/wire/frame.h"
#include "supervisor/control_client.h"
#include "supervisor/control_socket.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::supervisor;

namespace {

constexpr milliseconds kShort{20};

ControlRequest request_for(const std::string& operation) {
  return {.operation = operation, .roles = {}, .slots = {}};
}

std::vector<std::byte> answer_to(const std::string& operation) {
  ControlReply reply;
  reply.operation = operation;
  return wire::encode_frame(encode_reply(reply));
}

/// The supervisor's end of a call, answering by hand.
struct Call {
  Call() {
    UniqueFd listening = listen_control(paths).take();
    client = ControlClient::connect(paths).take();
    server.reset(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(client);
    REQUIRE(server);
  }
  void answer(const std::string& operation) {
    const auto bytes = answer_to(operation);
    CHECK(send_with_fds(server.get(), bytes, {}) == static_cast<ssize_t>(bytes.size()));
  }
  std::size_t requests() {
    std::array<std::byte, 4096> buffer;
    std::vector<UniqueFd> fds;
    const ssize_t n = receive_with_fds(server.get(), buffer, fds);
    if (n > 0) received.insert(received.end(), buffer.begin(), buffer.begin() + n);
    std::span<const std::byte> rest{received};
    std::size_t count = 0;
    while (wire::take_frame(rest).value()) ++count;
    return count;
  }

  test::TempFolder folder;
  InstancePaths paths{folder.path()};
  std::optional<ControlClient> client;
  UniqueFd server;
  std::vector<std::byte> received;
};

}  // namespace

TEST_CASE("control: an answer that comes too late is never taken for the next one's") {
  Call call;
  CHECK_FALSE(call.client->may_answer());
  CHECK_FALSE(call.client->ask(request_for("first"), kShort).ok());
  CHECK(call.client->may_answer());
  // However often it asks, nothing more is sent while that answer is missing.
  for (int i = 0; i < 3; ++i) CHECK_FALSE(call.client->ask(request_for("second"), kShort).ok());
  CHECK(call.requests() == 1);
  call.answer("first");
  call.answer("second");
  const auto answer = call.client->ask(request_for("second"), milliseconds{10000});
  REQUIRE(answer.ok());
  CHECK(answer.value().reply.operation == "second");
  CHECK_FALSE(call.client->may_answer());
}

TEST_CASE("control: who has ended, or talks nonsense, gives no answer any more") {
  Call ended;
  CHECK_FALSE(ended.client->ask(request_for("first"), kShort).ok());
  ended.server.reset();
  CHECK_FALSE(ended.client->may_answer());
  Call nonsense;
  const std::string garbage(16, '\xff');
  CHECK(send_with_fds(nonsense.server.get(), std::as_bytes(std::span{garbage}), {}) == 16);
  CHECK_FALSE(nonsense.client->ask(request_for("first"), kShort).ok());
  CHECK_FALSE(nonsense.client->may_answer());
}
