// Some hosts that follow the real rules (common/sync) on simulated disks, clocks and wires, with
// users who change what they like and all that can go wrong between any two steps. Whatever
// happens: at rest all agree, nothing that a user wrote is lost, nothing that was removed is back.
//
// LEFTING_MODEL_SCHEDULES=1000000 makes it long; LEFTING_MODEL_SEED=7 runs one and tells its story.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/model/world.h"

using namespace lefting::model;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("model: at rest all agree, nothing is lost, nothing is back") {
  if (const std::uint64_t seed = number_from("LEFTING_MODEL_SEED", 0); seed != 0) {
    World world{seed};
    world.keep_story();
    const std::string fault = world.run();
    fmt::print("{}\n", world.story());
    CHECK(fault == "");
    return;
  }
  const std::uint64_t schedules = number_from("LEFTING_MODEL_SCHEDULES", 100'000);
  std::atomic<std::uint64_t> next{1};
  std::mutex mutex;
  std::vector<std::string> faults;
  const auto work = [&] {
    for (std::uint64_t seed = next++; seed <= schedules; seed = next++) {
      const std::string fault = World{seed}.run();
      if (fault.empty()) continue;
      const std::lock_guard lock{mutex};
      faults.push_back(fmt::format("LEFTING_MODEL_SEED={}: {}", seed, fault));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back(work);
    }
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(10, faults.size()); ++i) MESSAGE(faults[i]);
  CHECK(faults.size() == 0);
}
