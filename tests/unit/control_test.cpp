#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "supervisor/control_client.h"
#include "supervisor/control_server.h"
#include "supervisor/control_socket.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::supervisor;

namespace {

ControlRequest request_for(const std::string& operation) {
  return {.operation = operation, .roles = {}, .slots = {}};
}
ControlAnswer answer_with(const std::string& operation) {
  ControlReply reply;
  reply.operation = operation;
  return {encode_reply(reply), {}};
}

/// A server in a thread: "late" is answered once `open` is set, "never" never, all else at once.
class Server {
 public:
  explicit Server(const InstancePaths& paths)
      : control_{listen_control(paths).take(),
                 [this](const ControlRequest& request) { return handle(request); }},
        thread_{[this] { run(); }} {}
  ~Server() {
    stop_.signal();
    thread_.join();
  }
  std::atomic<bool> open{false};

 private:
  PendingAnswer handle(const ControlRequest& request) {
    return [this, request]() -> std::optional<ControlAnswer> {
      if (request.operation == "never") return std::nullopt;
      if (request.operation == "late" && !open) return std::nullopt;
      ControlAnswer answer = answer_with(request.operation);
      if (request.operation == "attach") {
        answer.fds.assign(kAttachedFds, stop_.fd());
      }
      return answer;
    };
  }
  void run() {
    PollSet polls;
    for (;;) {
      polls.clear();
      polls.watch(stop_.fd(), POLLIN);
      control_.watch(polls);
      polls.wait(10);
      if (polls.events(stop_.fd()) != 0) return;
      control_.handle(polls, monotonic_ms());
    }
  }

  EventFd stop_;
  ControlServer control_;
  std::thread thread_;
};

ControlClient call(const InstancePaths& paths) {
  auto client = ControlClient::connect(paths);
  REQUIRE(client.ok());
  REQUIRE(client.value());
  return std::move(*client.take());
}

}  // namespace

TEST_CASE("control messages: a request comes through as it was") {
  const ControlRequest request{
      .operation = "restart", .roles = {"scanner", "listener"}, .slots = {0, 63}};
  const auto decoded = decode_request(encode_request(request));
  REQUIRE(decoded.ok());
  CHECK(decoded.value().operation == request.operation);
  CHECK(decoded.value().roles == request.roles);
  CHECK(decoded.value().slots == request.slots);
}

TEST_CASE("control messages: a reply comes through as it was") {
  ControlReply reply;
  reply.operation = "status";
  reply.instance = {.pid = 5,
                    .generation = ~std::uint64_t{0},
                    .uptime_ms = 7,
                    .device = "D",
                    .name = "n\"\n",
                    .share = "/s",
                    .listen = "[::]:1",
                    .plain = true,
                    .roles = {{"scanner", "ready", 9, 11}}};
  reply.hellos = {{3, true}, {4, false}};
  const auto decoded = decode_reply(encode_reply(reply));
  REQUIRE(decoded.ok());
  const ControlReply& back = decoded.value();
  CHECK(back.error.empty());
  CHECK(back.instance.generation == reply.instance.generation);
  CHECK(back.instance.name == reply.instance.name);
  CHECK(back.instance.plain);
  REQUIRE(back.instance.roles.size() == 1);
  CHECK(back.instance.roles[0].pid == 9);
  REQUIRE(back.hellos.size() == 2);
  CHECK(back.hellos[0].said);
  CHECK_FALSE(back.hellos[1].said);
}

TEST_CASE("control messages: what is no request is an error") {
  const std::string deep(60000, '[');
  for (const std::string& text :
       {std::string{}, std::string{"x"}, std::string{"[]"}, std::string{"{}"}, deep,
        std::string{R"({"operation":5})"}, std::string{R"({"operation":"restart","roles":[1]})"},
        std::string{R"({"operation":"hello","slots":["a"]})"}}) {
    CHECK_FALSE(decode_request(text).ok());
  }
  CHECK_FALSE(decode_reply("{}").ok());
}

TEST_CASE("control socket: it is only for its user, also where the folder's path is long") {
  const test::TempFolder folder;
  const InstancePaths paths{folder / std::string(150, 'd')};
  REQUIRE(make_instance_folder(paths).ok());
  CHECK_FALSE(connect_control(paths).value());
  const auto listening = listen_control(paths);
  REQUIRE(listening.ok());
  struct stat info {};
  REQUIRE(::stat((paths.dir + "/control.sock").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(connect_control(paths).value());
  const auto again = listen_control(paths);  // as after a supervisor that was killed
  CHECK(again.ok());
  remove_control(paths);
  CHECK_FALSE(connect_control(paths).value());
}

TEST_CASE("control socket: without a folder nobody answers") {
  const test::TempFolder folder;
  const auto fd = connect_control({folder / "nothing"});
  REQUIRE(fd.ok());
  CHECK_FALSE(fd.value());
}

TEST_CASE("control: requests are answered one after another, with descriptors where they belong") {
  const test::TempFolder folder;
  const InstancePaths paths{folder.path()};
  const Server server{paths};
  ControlClient client = call(paths);
  CHECK(client.pid() == ::getpid());
  for (int i = 0; i < 3; ++i) {
    const auto plain = client.ask(request_for("status"), kPromptly);
    REQUIRE(plain.ok());
    CHECK(plain.value().reply.operation == "status");
    CHECK(plain.value().fds.empty());
    const auto attached = client.ask(request_for("attach"), kPromptly);
    REQUIRE(attached.ok());
    CHECK(attached.value().fds.size() == kAttachedFds);
  }
}

TEST_CASE("control: a request that takes its time holds up nobody else") {
  const test::TempFolder folder;
  const InstancePaths paths{folder.path()};
  Server server{paths};
  ControlClient slow = call(paths);
  bool answered = false;
  std::thread waiting{[&] { answered = slow.ask(request_for("late"), kPromptly).ok(); }};
  CHECK(call(paths).ask(request_for("status"), kPromptly).ok());
  server.open = true;
  waiting.join();
  CHECK(answered);
}

TEST_CASE("control: no answer in time is an error, and so is a server that ends") {
  const test::TempFolder folder;
  const InstancePaths paths{folder.path()};
  std::optional<ControlClient> client;
  {
    const Server server{paths};
    client.emplace(call(paths));
    CHECK_FALSE(client->ask(request_for("never"), milliseconds{20}).ok());
  }
  CHECK_FALSE(client->ask(request_for("status"), kPromptly).ok());
}

TEST_CASE("control: callers that say nothing, or never listen, leave room for one more") {
  const test::TempFolder folder;
  const InstancePaths paths{folder.path()};
  const Server server{paths};
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 200; ++i) {
    auto fd = connect_control(paths);
    if (fd && fd.value()) silent.push_back(std::move(*fd.take()));
    if (i % 50 == 0) CHECK(call(paths).ask(request_for("status"), kPromptly).ok());
  }
  CHECK(call(paths).ask(request_for("status"), kPromptly).ok());
}

TEST_CASE("control: garbage is refused and the caller shown out") {
  const test::TempFolder folder;
  const InstancePaths paths{folder.path()};
  const Server server{paths};
  const std::string zeros(64, '\0');
  std::string huge("\x7f\x7f\x7f\x7f\0\0\0\0", 8);
  std::string data("\0\0\0\2\0\xff\xff\xff{}", 10);
  data.resize(80000, 'x');
  for (const std::string& bytes : {zeros, huge, data}) {
    auto fd = connect_control(paths);
    REQUIRE(fd.value());
    const int socket = fd.value()->get();
    std::span<const std::byte> rest = std::as_bytes(std::span{bytes});
    const Deadline deadline = deadline_in(milliseconds{20000});
    bool closed = false;
    while (!closed) {
      REQUIRE(poll_timeout(deadline) > 0);
      if (!rest.empty()) {
        const ssize_t n = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) rest = rest.subspan(static_cast<std::size_t>(n));
        if (n < 0 && errno != EAGAIN) closed = true;
      }
      pollfd event{socket, POLLIN, 0};
      poll_fds({&event, 1}, 10);
      char buffer[4096];
      const ssize_t got = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN)) closed = true;
    }
  }
  CHECK(call(paths).ask(request_for("status"), kPromptly).ok());
}
