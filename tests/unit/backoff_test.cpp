#include "supervisor/backoff.h"

#include <doctest/doctest.h>

#include <vector>

using lefting::supervisor::Backoff;
using lefting::supervisor::kHelloBackoff;
using lefting::supervisor::kRoleBackoff;

namespace {

std::vector<std::uint64_t> waits(Backoff& backoff, int count) {
  std::vector<std::uint64_t> out;
  for (int i = 0; i < count; ++i) out.push_back(backoff.next_ms());
  return out;
}

}  // namespace

TEST_CASE("Allowance: a burst is free, then one for each refill, and rest fills it again") {
  lefting::supervisor::Allowance allowance{3, 1000};
  for (int i = 0; i < 3; ++i) CHECK(allowance.take(5000) == 0);
  CHECK(allowance.take(5000) == 1000);
  CHECK(allowance.take(6000) == 1000);
  CHECK(allowance.take(6400) == 1600);
  CHECK(allowance.take(10000) == 0);
  for (int i = 0; i < 3; ++i) CHECK(allowance.take(1000000) == 0);
  CHECK(allowance.take(1000000) == 1000);
}

TEST_CASE("Backoff: a role is started again at once, then after 0.1 s doubling to 30 s") {
  Backoff backoff{kRoleBackoff};
  CHECK(waits(backoff, 12) == std::vector<std::uint64_t>{0, 100, 200, 400, 800, 1600, 3200, 6400,
                                                         12800, 25600, 30000, 30000});
}

TEST_CASE("Backoff: a peer is called again after 1 s doubling to 60 s") {
  Backoff backoff{kHelloBackoff};
  CHECK(waits(backoff, 9) ==
        std::vector<std::uint64_t>{1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000});
}

TEST_CASE("Backoff: after a reset it begins anew, from any place") {
  for (int tries = 0; tries < 100; ++tries) {
    CAPTURE(tries);
    Backoff backoff{kRoleBackoff};
    static_cast<void>(waits(backoff, tries));
    backoff.reset();
    CHECK(waits(backoff, 3) == std::vector<std::uint64_t>{0, 100, 200});
  }
}

TEST_CASE("Backoff: the wait never grows beyond its limit, however often it is asked") {
  Backoff backoff{kRoleBackoff};
  for (int i = 0; i < 1000; ++i) REQUIRE(backoff.next_ms() <= 30000);
}
