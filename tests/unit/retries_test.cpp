#include "scanner/retries.h"

#include <doctest/doctest.h>

using namespace lefting;
using scanner::Retries;
using std::chrono::seconds;

namespace {

const Deadline kNow{std::chrono::hours{1}};

}  // namespace

TEST_CASE("Retries: later each time, up to a limit, and begins anew when it was erased") {
  Retries retries;
  CHECK(retries.due() == Deadline::max());
  CHECK(retries.put_off("a", kNow, seconds{5}));
  CHECK(retries.due() == kNow + seconds{1});
  for (const int later : {2, 4, 5, 5}) {
    CHECK_FALSE(retries.put_off("a", kNow, seconds{5}));
    CHECK(retries.due() == kNow + seconds{later});
  }
  CHECK(retries.ripe(kNow + milliseconds{4999}).empty());
  CHECK(retries.ripe(kNow + seconds{5}) == std::vector<std::string>{"a"});
  retries.add("a", kNow);  // it is there
  retries.add("b", kNow);
  CHECK(retries.due() == kNow + seconds{1});
  retries.erase("b");
  CHECK(retries.due() == kNow + seconds{5});
  retries.erase("a");
  CHECK(retries.empty());
  CHECK(retries.put_off("a", kNow, seconds{5}));
  CHECK(retries.due() == kNow + seconds{1});
}

TEST_CASE("Retries: what was looked at too early is not kept waiting for that") {
  Retries retries;
  for (int i = 0; i < 3; ++i) retries.put_off("a", kNow, seconds{30});
  CHECK(retries.due() == kNow + seconds{4});
  for (int i = 0; i < 3; ++i) retries.begin_anew("a", kNow);
  CHECK(retries.due() == kNow + seconds{1});
  CHECK(retries.ripe(kNow + seconds{30}) == std::vector<std::string>{"a"});
  retries.put_off("a", kNow, seconds{30});
  CHECK(retries.due() == kNow + seconds{1});
}

TEST_CASE("Retries: what was quiet since is forgotten, where it is chosen") {
  Retries retries;
  for (const char* path : {"a", "b", "c"}) retries.put_off(path, kNow, seconds{5});
  retries.put_off("b", kNow + seconds{1}, seconds{5});
  retries.erase_quiet(kNow + seconds{1}, [](const std::string& path) { return path != "c"; });
  CHECK_FALSE(retries.contains("a"));
  CHECK(retries.contains("b"));
  CHECK(retries.contains("c"));
}
