#include "supervisor/child.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/clock.h"

using namespace lefting;
using namespace lefting::supervisor;

namespace {

/// A shell script as a child, with descriptors like those of an instance.
struct Script {
  UniqueFd file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  EventFd wake;
  ChildPlan plan(const std::string& text) const {
    return {.program = "/bin/sh",
            .arguments = {"sh", "-c", text},
            .generation = 42,
            .segment = file.get(),
            .wake_scanner = wake.fd(),
            .wake_listener = wake.fd(),
            .wake_downloader = wake.fd(),
            .wake_supervisor = wake.fd(),
            .lock = file.get()};
  }
};

constexpr milliseconds kPatience{20000};

struct Seen {
  int exit_code = -1;
  bool ready = false;
};
/// Takes turns with the child until it has ended, or until it is ready.
Seen await(Child& child, bool until_ready) {
  Seen seen;
  PollSet polls;
  const Deadline deadline = deadline_in(kPatience);
  for (;;) {
    REQUIRE(poll_timeout(deadline) > 0);
    polls.clear();
    child.watch(polls);
    polls.wait(100);
    child.kill_if_due(monotonic_ms());
    seen.ready = child.take_ready(polls) || seen.ready;
    if (seen.ready && until_ready) return seen;
    if (const auto code = child.try_reap(polls)) {
      seen.exit_code = *code;
      return seen;
    }
  }
}

int exit_code_of(const std::string& script) {
  const Script shell;
  auto child = Child::spawn(shell.plan(script));
  REQUIRE(child.ok());
  return await(child.value(), false).exit_code;
}

}  // namespace

TEST_CASE("Child: its exit code comes back, and 128 + signal where it was killed") {
  CHECK(exit_code_of("exit 0") == 0);
  CHECK(exit_code_of("exit 100") == 100);
  CHECK(exit_code_of("kill -9 $$") == 128 + SIGKILL);
}

TEST_CASE("Child: it finds the descriptors of the contract, and no others") {
  CHECK(exit_code_of("for f in 3 4 5 6 7 8 9 10; do [ -e /proc/$$/fd/$f ] || exit $f; done") == 0);
  CHECK(exit_code_of("[ -e /proc/$$/fd/11 ] && exit 11; [ -e /proc/$$/fd/12 ] && exit 12; "
                     "[ -e /proc/$$/fd/25 ] && exit 25; exit 0") == 0);
  const Script shell;
  ChildPlan plan = shell.plan("[ -e /proc/$$/fd/11 ]");
  plan.listen = shell.file.get();
  auto child = Child::spawn(plan);
  REQUIRE(child.ok());
  CHECK(await(child.value(), false).exit_code == 0);
}

TEST_CASE("Child: sources that bear each other's target numbers arrive all the same") {
  // Low numbers on purpose: file and eventfds of Script are likely to be among 3 to 11.
  CHECK(exit_code_of("[ $(readlink /proc/$$/fd/3) = /dev/null ] || exit 3; "
                     "[ $(readlink /proc/$$/fd/10) = /dev/null ] || exit 10; "
                     "case $(readlink /proc/$$/fd/6) in *eventfd*) ;; *) exit 6;; esac; "
                     "case $(readlink /proc/$$/fd/4) in pipe*) ;; *) exit 4;; esac") == 0);
}

TEST_CASE("Child: it knows the generation, in a session of its own, without blocked signals") {
  CHECK(exit_code_of("[ \"$LEFTING_GENERATION\" = 42 ]") == 0);
  CHECK(exit_code_of("[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ]") == 0);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  // Not the shell itself: it blocks signals while it waits.
  const int blocked = exit_code_of("exec grep -q 'SigBlk:.0000000000000000' /proc/self/status");
  // glibc 2.36 lets a child begin with its two internal signals, 32 and 33, ignored.
  const int ignored =
      exit_code_of("exec grep -q 'SigIgn:.0000000[01][08]0000000$' /proc/self/status");
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(blocked == 0);
  CHECK(ignored == 0);
}

TEST_CASE("Child: a newline makes it ready, an end without one does not") {
  const Script shell;
  auto ready = Child::spawn(shell.plan("echo >&5; read x <&4; exit 7"));
  REQUIRE(ready.ok());
  CHECK(await(ready.value(), true).ready);
  CHECK_FALSE(ready.value().leaving());
  ready.value().ask_to_leave(kNever - 1);
  CHECK(ready.value().leaving());
  CHECK(await(ready.value(), false).exit_code == 7);

  auto silent = Child::spawn(shell.plan("exec 5>&-; exit 3"));
  REQUIRE(silent.ok());
  const Seen seen = await(silent.value(), false);
  CHECK_FALSE(seen.ready);
  CHECK(seen.exit_code == 3);
}

TEST_CASE("Child: one that does not leave in its time is killed") {
  const Script shell;
  auto child = Child::spawn(shell.plan("echo >&5; while :; do read x </dev/zero; done"));
  REQUIRE(child.ok());
  REQUIRE(await(child.value(), true).ready);
  child.value().ask_to_leave(monotonic_ms());
  CHECK(await(child.value(), false).exit_code == 128 + SIGKILL);
}

TEST_CASE("Child: it does not outlive its owner") {
  const Script shell;
  pid_t pid = 0;
  {
    auto child = Child::spawn(shell.plan("echo >&5; read x <&4; while :; do :; done"));
    REQUIRE(child.ok());
    REQUIRE(await(child.value(), true).ready);
    pid = child.value().pid();
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("Child: a program that isn't there is an error that names it") {
  const Script shell;
  ChildPlan plan = shell.plan("");
  plan.program = "/nowhere/scanner";
  const auto child = Child::spawn(plan);
  REQUIRE_FALSE(child.ok());
  CHECK(child.error().text().find("/nowhere/scanner") != std::string::npos);
}
