// A segment that is far too small: everything works, only slower, and nobody dies of it.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/integration/node.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

constexpr int kFiles = 900;

/// Paths of 3,000 bytes: a few hundred fill the smallest segment.
std::string long_path(int number) {
  std::string folders;
  for (int i = 0; i < 12; ++i) folders += std::string(240, static_cast<char>('a' + i)) + "/";
  return folders + "f" + std::to_string(number);
}

std::uint64_t restarts(Node& node) {
  std::uint64_t sum = 0;
  const auto state = node.dump();
  for (const auto& role : state["roles"].GetArray()) sum += number_of(role, "restarts");
  return sum;
}

}  // namespace

TEST_CASE("segment limit: beyond it the store is asked; the roles live on and the shares agree") {
  Node first{true};
  Node second{true};
  for (int i = 0; i < kFiles; ++i) first.write(long_path(i), "content " + std::to_string(i));
  const std::vector<std::string> small = {"--segment-limit-mib", "4", "--no-brake"};
  first.start({second.spec()}, small);
  second.start({first.spec()}, small);
  REQUIRE(eventually([&] { return first.tree() == second.tree(); }, Seconds{60}));
  CHECK(first.supervisor({"logs", "scanner"}).out.find("segment_limit_mib") != std::string::npos);

  // What was recorded is known: a traversal hashes nothing again, and sees what is gone.
  const auto sequence = [](Node& node) { return number_of(node.dump()["index"], "sequence"); };
  const std::uint64_t before = sequence(first);
  REQUIRE(first.supervisor({"rescan"}).code == 0);
  CHECK(sequence(first) == before);
  for (int i = 0; i < kFiles; i += 3) fs::remove(first.share(long_path(i)));
  for (int i = 1; i < kFiles; i += 3) second.write(long_path(i), "changed");
  REQUIRE(first.supervisor({"rescan"}).code == 0);
  REQUIRE(eventually(
      [&] {
        return !second.exists(long_path(0)) && first.holds(long_path(1), "changed") &&
               first.tree() == second.tree();
      },
      Seconds{60}));
  CHECK(first.tree().size() == kFiles / 3 * 2);
  CHECK(restarts(first) == 0);
  CHECK(restarts(second) == 0);
}
