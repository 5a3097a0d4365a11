// System calls of one program after another fail, the first, the second, … of each kind that can,
// while two instances sync what their users change. Whatever fails, only that is put off; and once
// nothing fails any more both come to rest with nothing lost.
//
// LEFTING_IO_FAULTS=all tries every call, else a few of them. LEFTING_IO_SEED=7 chooses others.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>

#include "common/base/os.h"
#include "supervisor/view.h"
#include "tests/fault/io/failing_calls.h"
#include "tests/fault/torture/instance_check.h"
#include "tests/fault/torture/users.h"
#include "tests/integration/wait.h"

using namespace lefting;
using namespace lefting::test;

namespace {

struct Kind {
  const char* name;
  int error;
  std::uint32_t calls;
};
constexpr Kind kKinds[] = {
    {"ENOSPC", ENOSPC, kCallOpenToWrite | kCallWrite | kCallSync | kCallSize | kCallName},
    {"EIO", EIO,
     kCallOpen | kCallRead | kCallWrite | kCallSync | kCallSize | kCallName | kCallMeta},
    {"EROFS", EROFS, kCallOpenToWrite | kCallName | kCallMeta},
    {"EMFILE", EMFILE, kCallOpen},
};

bool tries_all() {
  const char* const faults = std::getenv("LEFTING_IO_FAULTS");
  return faults != nullptr && std::strcmp(faults, "all") == 0;
}

unsigned seed() {
  const char* const text = std::getenv("LEFTING_IO_SEED");
  return text == nullptr ? 1 : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

/// What the programs that are started while it lives are told.
class Control {
 public:
  Control() {
    const std::string path = folder_ / "control";
    const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    REQUIRE(::ftruncate(fd.get(), sizeof(FailingCalls)) == 0);
    void* const memory =
        ::mmap(nullptr, sizeof(FailingCalls), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    REQUIRE(memory != MAP_FAILED);
    calls_ = new (memory) FailingCalls;
    ::setenv(FailingCalls::kVariable, path.c_str(), 1);
    ::setenv("LD_PRELOAD", LEFTING_FAILING_CALLS_LIBRARY, 1);
  }
  ~Control() {
    ::unsetenv("LD_PRELOAD");
    ::unsetenv(FailingCalls::kVariable);
    ::munmap(calls_, sizeof(FailingCalls));
  }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  void arm(const char* program, const Kind& kind, std::int64_t after, bool lasting) {
    calls_->program = 0;
    calls_->calls = kind.calls;
    calls_->error = kind.error;
    calls_->left = after;
    calls_->lasting = lasting;
    calls_->failed = 0;
    calls_->program = FailingCalls::name(program);
  }
  void disarm() { calls_->program = 0; }
  std::uint64_t failed() const { return calls_->failed.load(); }

 private:
  TempFolder folder_;
  FailingCalls* calls_ = nullptr;
};

class Pair {
 public:
  Pair() {
    first_.start({second_.spec()});
    second_.start({first_.spec()});
  }

  Users& users() { return users_; }
  Node& first() { return first_; }
  Node& second() { return second_; }

  /// What is not at rest, or is wrong; "" for nothing.
  std::string fault() {
    for (Node* node : {&first_, &second_}) {
      if (std::string found = users_.fault_in(*node); !found.empty()) return found;
    }
    if (std::string found = tree_difference(); !found.empty()) return found;
    for (Node* node : {&first_, &second_}) {
      auto view = supervisor::View::open(instance_paths(node->state()), store::Access::write);
      if (!view) return view.error().text();
      for (const auto& role : view.value()->roles()) {
        if (role.state != "ready") return role.role + " is " + role.state + " " + role.reason;
      }
      if (std::string found = difference(*view.value(), node->share()); !found.empty()) {
        return found;
      }
    }
    return "";
  }

  /// What only one of them has, or has so; "" for nothing.
  std::string tree_difference() const {
    const auto first = first_.tree();
    const auto second = second_.tree();
    std::vector<std::pair<std::string, std::string>> one_sided;
    std::ranges::set_symmetric_difference(first, second, std::back_inserter(one_sided));
    std::string found;
    for (const auto& file : one_sided) {
      const bool is_firsts = std::ranges::find(first, file) != first.end();
      found += fmt::format("only the {} has {} as \"{}\"; ", is_firsts ? "first" : "second",
                           file.first, file.second.substr(0, file.second.find('\n')));
    }
    return found;
  }

  void expect_rest() {
    std::string last;
    const bool rests = eventually([&] { return (last = fault()).empty(); }, Seconds{40});
    if (rests) return;
    for (Node* node : {&first_, &second_}) {
      MESSAGE(run("dumpstate", {"--state", node->state()}).out);
      MESSAGE(node->supervisor({"logs", "-n", "40"}).out);
    }
    FAIL(last);
  }

 private:
  Node first_{true};
  Node second_{true};
  Users users_{first_, second_, seed()};
};

}  // namespace

TEST_CASE("io: whichever call fails, only that is put off") {
  Control control;
  Pair pair;
  pair.expect_rest();
  constexpr int kFew = 5;
  for (const char* program : {"scanner", "listener", "downloader"}) {
    for (const Kind& kind : kKinds) {
      const std::string what = fmt::format("{} {}", program, kind.name);
      int tried = 0;
      int missed = 0;
      // Until rounds need fewer calls.
      for (int after = 0; missed < (tries_all() ? 3 : 1);) {
        CAPTURE(what);
        CAPTURE(after);
        control.arm(program, kind, after, false);
        for (int i = 0; i < 8; ++i) pair.users().change();
        pair.expect_rest();
        const bool failed = control.failed() != 0;
        tried += failed;
        missed += !failed;
        if (!tries_all() && tried == kFew) break;
        after += tries_all() ? 1 : 1 + static_cast<int>(pair.users().pick(40));
      }
      control.disarm();
      fmt::print("{}: {} calls, one after another\n", what, tried);
    }
  }
}

TEST_CASE("io: whatever of a new folder can't be opened, what comes into it later is seen") {
  Control control;
  Pair pair;
  pair.expect_rest();
  Node& user = pair.first();
  constexpr Kind kUnopened{"EIO", EIO, kCallOpen};
  bool failed = true;
  int after = 0;
  for (; failed; ++after) {
    CAPTURE(after);
    const std::string folder = fmt::format("new{}", after);
    const auto arrives = [&](const std::string& name) {
      return eventually([&] { return pair.second().holds(folder + "/" + name, name); },
                        Seconds{40});
    };
    control.arm("scanner", kUnopened, after, false);
    user.write(folder + "/early", "early");
    CHECK(arrives("early"));
    failed = control.failed() != 0;
    control.disarm();
    user.write(folder + "/late", "late");
    CHECK(arrives("late"));
  }
  CHECK(after > 2);
}

TEST_CASE("io: a disk that is full for a while: what waits goes on when there is space again") {
  Control control;
  Pair pair;
  pair.expect_rest();
  for (const char* program : {"scanner", "listener", "downloader"}) {
    for (int i = 0; i < (tries_all() ? 100 : 2); ++i) {
      const std::string what = program;
      CAPTURE(what);
      control.arm(program, kKinds[0], pair.users().pick(60), true);
      for (int change = 0; change < 12; ++change) pair.users().change();
      const bool failed = eventually([&] { return control.failed() >= 3; }, Seconds{3});
      control.disarm();
      if (failed) fmt::print("{}: {} calls failed\n", what, control.failed());
      pair.expect_rest();
    }
  }
}
