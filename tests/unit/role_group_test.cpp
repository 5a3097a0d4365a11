#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>

#include <array>
#include <string>

#include "common/base/clock.h"
#include "supervisor/group.h"

using namespace lefting;
using namespace lefting::supervisor;
using state::Role;
using state::RoleState;

namespace {

const std::string kGood = "echo >&5; read x <&4; exit 0";

/// A group whose roles are shell scripts, and a clock that is only as fast as the test wants.
struct Fixture {
  UniqueFd file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  state::Segment segment = state::Segment::create(64u << 20);
  std::array<std::string, state::kRoles> scripts{kGood, kGood, kGood};
  RoleGroup group{segment, [this](Role role) { return spawn(role); }};
  std::uint64_t now_ms = 1000000;
  PollSet polls;

  Result<Child> spawn(Role role) const {
    return Child::spawn({.program = "/bin/sh",
                         .arguments = {"sh", "-c", scripts[static_cast<std::size_t>(role)]},
                         .segment = segment.fd(),
                         .wake_scanner = file.get(),
                         .wake_listener = file.get(),
                         .wake_downloader = file.get(),
                         .wake_supervisor = file.get(),
                         .lock = file.get()});
  }
  state::RoleSlot& slot(Role role) { return state::role_slot(segment, role); }
  /// One turn; the clock goes on by `ms`.
  void turn(std::uint64_t ms = 0) {
    now_ms += ms;
    polls.clear();
    group.watch(polls);
    polls.wait(50);
    group.handle(polls, now_ms);
  }
  template <class Condition>
  void await(Condition&& condition, std::uint64_t ms_a_turn = 0) {
    const Deadline deadline = deadline_in(milliseconds{20000});
    while (!condition()) {
      REQUIRE(poll_timeout(deadline) > 0);
      turn(ms_a_turn);
    }
  }
  void start() {
    group.start_all(now_ms);
    await([&] { return group.all_ready(); });
  }
};

}  // namespace

TEST_CASE("RoleGroup: all become ready, and all leave when told to") {
  Fixture fixture;
  fixture.start();
  CHECK(fixture.slot(Role::listener).state == RoleState::ready);
  CHECK(fixture.slot(Role::listener).pid != 0);
  CHECK_FALSE(fixture.group.fault());
  fixture.group.leave(fixture.now_ms);
  fixture.await([&] { return fixture.group.all_gone(); });
  CHECK(fixture.slot(Role::listener).state == RoleState::stopped);
  CHECK(fixture.slot(Role::listener).pid == 0);
  CHECK(fixture.group.next_due_ms() == kNever);
}

TEST_CASE("RoleGroup: a role that is killed is started again at once, and alone") {
  Fixture fixture;
  fixture.start();
  const std::int32_t scanner = fixture.slot(Role::scanner).pid;
  const std::int32_t listener = fixture.slot(Role::listener).pid;
  ::kill(scanner, SIGKILL);
  fixture.await([&] { return fixture.slot(Role::scanner).restarts == 1; });
  fixture.await([&] { return fixture.group.all_ready(); });
  CHECK(fixture.slot(Role::scanner).pid != scanner);
  CHECK(fixture.slot(Role::scanner).last_exit == 128 + SIGKILL);
  CHECK(fixture.slot(Role::listener).pid == listener);
  CHECK(fixture.slot(Role::listener).restarts == 0);
}

TEST_CASE(
    "RoleGroup: one that did its work until it died starts at once, 20 times, then once a s") {
  Fixture fixture;
  fixture.start();
  for (std::uint32_t deaths = 1; deaths <= 20; ++deaths) {
    CAPTURE(deaths);
    ::kill(fixture.slot(Role::scanner).pid, SIGKILL);
    fixture.await([&] { return fixture.slot(Role::scanner).restarts == deaths; });
    fixture.await([&] { return fixture.group.all_ready(); });
  }
  ::kill(fixture.slot(Role::scanner).pid, SIGKILL);
  fixture.await([&] { return fixture.slot(Role::scanner).state == RoleState::backoff; });
  CHECK(fixture.group.next_due_ms() == fixture.now_ms + 1000);
  fixture.turn(999);
  CHECK(fixture.slot(Role::scanner).restarts == 20);
  fixture.turn(1);
  CHECK(fixture.slot(Role::scanner).restarts == 21);
}

TEST_CASE("RoleGroup: one that dies before it is ready waits longer each time") {
  Fixture fixture;
  fixture.scripts[0] = "exit 1";
  fixture.group.start_all(fixture.now_ms);
  fixture.await([&] { return fixture.slot(Role::scanner).restarts == 1; });
  fixture.await([&] { return fixture.slot(Role::scanner).state == RoleState::backoff; });
  CHECK(fixture.group.next_due_ms() == fixture.now_ms + 100);
  fixture.turn(100);
  fixture.await([&] { return fixture.slot(Role::scanner).state == RoleState::backoff; });
  CHECK(fixture.group.next_due_ms() == fixture.now_ms + 200);
}

TEST_CASE("RoleGroup: a death is told once, a role that leaves when asked is no death") {
  Fixture fixture;
  fixture.start();
  CHECK_FALSE(fixture.group.take_bereaved());
  fixture.group.restart(Role::listener, fixture.now_ms);
  fixture.await([&] { return fixture.group.restarted(Role::listener).has_value(); });
  CHECK_FALSE(fixture.group.take_bereaved());
  ::kill(fixture.slot(Role::scanner).pid, SIGKILL);
  fixture.await([&] { return fixture.slot(Role::scanner).restarts == 1; });
  CHECK(fixture.group.take_bereaved());
  CHECK_FALSE(fixture.group.take_bereaved());
}

TEST_CASE("RoleGroup: exit code 100 is final until somebody restarts the role") {
  Fixture fixture;
  fixture.scripts[0] = "exit 100";
  fixture.group.start_all(fixture.now_ms);
  fixture.await([&] { return fixture.slot(Role::scanner).state == RoleState::failed; });
  fixture.turn(1000000);
  CHECK(fixture.slot(Role::scanner).restarts == 0);
  CHECK(fixture.group.fault());
  fixture.scripts[0] = kGood;
  fixture.group.restart(Role::scanner, fixture.now_ms);
  CHECK_FALSE(fixture.group.restarted(Role::scanner));
  fixture.await([&] { return fixture.group.restarted(Role::scanner).has_value(); });
  CHECK(fixture.group.restarted(Role::scanner) == "");
  fixture.await([&] { return fixture.group.all_ready(); });
  CHECK_FALSE(fixture.group.fault());
}

TEST_CASE("RoleGroup: restart lets a role leave, starts it again, and says when it is ready") {
  Fixture fixture;
  fixture.start();
  const std::int32_t before = fixture.slot(Role::downloader).pid;
  fixture.group.restart(Role::downloader, fixture.now_ms);
  CHECK_FALSE(fixture.group.restarted(Role::downloader));
  fixture.await([&] { return fixture.group.restarted(Role::downloader).has_value(); });
  CHECK(fixture.group.restarted(Role::downloader) == "");
  CHECK(fixture.slot(Role::downloader).pid != before);
  CHECK(fixture.slot(Role::downloader).last_exit == 0);
}

TEST_CASE("RoleGroup: a restart that does not succeed is said to have failed") {
  Fixture fixture;
  fixture.start();
  fixture.scripts[1] = "exit 1";
  fixture.group.restart(Role::listener, fixture.now_ms);
  fixture.await([&] { return fixture.group.restarted(Role::listener).has_value(); }, 100);
  CHECK(fixture.group.restarted(Role::listener) != "");
}

TEST_CASE("RoleGroup: one that dies again and again before it is ready is a fault of the start") {
  Fixture fixture;
  fixture.scripts[2] = "exit 5";
  fixture.group.start_all(fixture.now_ms);
  fixture.await([&] { return fixture.group.fault().has_value(); }, 100);
  CHECK(fixture.group.fault()->find("downloader") == 0);
}

TEST_CASE("RoleGroup: a role whose heartbeat stands still for 15 s is killed, others stay") {
  Fixture fixture;
  fixture.start();
  std::uint64_t beat = 1;
  const auto beat_all = [&] {
    ++beat;
    for (const Role role : {Role::scanner, Role::listener, Role::downloader}) {
      fixture.slot(role).heartbeat_ms = beat;
    }
  };
  beat_all();
  fixture.turn(5000);
  const std::uint64_t begin_ms = fixture.now_ms;
  while (fixture.slot(Role::scanner).restarts == 0) {
    REQUIRE(fixture.now_ms - begin_ms <= 20000);
    ++beat;
    fixture.slot(Role::listener).heartbeat_ms = beat;
    fixture.slot(Role::downloader).heartbeat_ms = beat;
    fixture.turn(1000);
  }
  CHECK(fixture.now_ms - begin_ms >= 15000);
  CHECK(fixture.slot(Role::listener).restarts == 0);
  CHECK(fixture.slot(Role::downloader).restarts == 0);
}

TEST_CASE("RoleGroup: after the supervisor itself stood still, nobody is killed for that") {
  Fixture fixture;
  fixture.start();
  for (const Role role : {Role::scanner, Role::listener, Role::downloader}) {
    fixture.slot(role).heartbeat_ms = 1;
  }
  fixture.turn(5000);
  fixture.turn(3600000);
  fixture.turn(1);
  CHECK(fixture.slot(Role::scanner).restarts == 0);
  CHECK(fixture.group.all_ready());
}
