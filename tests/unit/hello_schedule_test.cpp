#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

#include "supervisor/schedule.h"

using lefting::kMaxPeers;
using lefting::supervisor::HelloSchedule;
using lefting::supervisor::kNever;
using lefting::supervisor::PeerMasks;

namespace {

constexpr std::uint32_t kSeed = 7;

std::vector<int> take_all(HelloSchedule& schedule, std::uint64_t now_ms) {
  std::vector<int> out;
  while (const auto slot = schedule.take_due(now_ms)) out.push_back(*slot);
  return out;
}

/// True if `due_ms` is `wait_ms` from `now_ms`, less at most a fifth.
bool is_about(std::uint64_t due_ms, std::uint64_t now_ms, std::uint64_t wait_ms) {
  return due_ms >= now_ms + wait_ms - wait_ms / 5 && due_ms <= now_ms + wait_ms;
}

}  // namespace

TEST_CASE("HelloSchedule: without peers nothing is ever due") {
  HelloSchedule schedule{kSeed};
  schedule.observe({}, 5);
  CHECK(schedule.next_due_ms() == kNever);
  CHECK_FALSE(schedule.take_due(kNever - 1));
}

TEST_CASE("HelloSchedule: every new peer is due at once, in each slot, and only once") {
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    CAPTURE(slot);
    HelloSchedule schedule{kSeed};
    schedule.observe({.used = std::uint64_t{1} << slot}, 100);
    CHECK(schedule.next_due_ms() == 100);
    CHECK_FALSE(schedule.take_due(99));
    CHECK(schedule.take_due(100) == slot);
    CHECK_FALSE(schedule.take_due(100000));
    CHECK(schedule.next_due_ms() == kNever);
  }
}

TEST_CASE("HelloSchedule: an unreachable peer is called after 1 s, doubling to 60 s") {
  HelloSchedule schedule{kSeed};
  const PeerMasks masks{.used = 1};
  std::uint64_t now = 1000;
  schedule.observe(masks, now);
  REQUIRE(schedule.take_due(now) == 0);
  for (const std::uint64_t wait : {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000}) {
    CAPTURE(wait);
    schedule.ended(0, now);
    schedule.observe(masks, now);
    const std::uint64_t due = schedule.next_due_ms();
    CHECK(is_about(due, now, wait));
    CHECK_FALSE(schedule.take_due(due - 1));
    now = due;
    REQUIRE(schedule.take_due(now) == 0);
  }
}

TEST_CASE("HelloSchedule: a peer that is online is left alone") {
  HelloSchedule schedule{kSeed};
  schedule.observe({.used = 1}, 0);
  REQUIRE(schedule.take_due(0) == 0);
  schedule.ended(0, 10);
  schedule.observe({.used = 1, .online = 1}, 10);
  CHECK(schedule.next_due_ms() == kNever);
}

TEST_CASE("HelloSchedule: a peer that goes offline is called after 1 s, whatever was before") {
  HelloSchedule schedule{kSeed};
  std::uint64_t now = 0;
  schedule.observe({.used = 1}, now);
  for (int failures = 0; failures < 10; ++failures) {
    now = schedule.next_due_ms();
    REQUIRE(schedule.take_due(now) == 0);
    schedule.ended(0, now);
  }
  schedule.observe({.used = 1, .online = 1}, now);
  now += 1000000;
  schedule.observe({.used = 1}, now);
  CHECK(is_about(schedule.next_due_ms(), now, 1000));
}

TEST_CASE("HelloSchedule: a hello that is said but leaves the peer offline is not repeated fast") {
  HelloSchedule schedule{kSeed};
  std::uint64_t now = 0;
  schedule.observe({.used = 1}, now);
  for (int i = 0; i < 8; ++i) {
    now = schedule.next_due_ms();
    REQUIRE(schedule.take_due(now) == 0);
    schedule.ended(0, now);
    schedule.observe({.used = 1}, now);
  }
  CHECK(is_about(schedule.next_due_ms(), now, 60000));
}

TEST_CASE("HelloSchedule: a peer that refuses us is called every 60 s") {
  HelloSchedule schedule{kSeed};
  const PeerMasks masks{.used = 4, .refused = 4};
  std::uint64_t now = 0;
  schedule.observe({.used = 4}, now);
  REQUIRE(schedule.take_due(now) == 2);
  for (int i = 0; i < 5; ++i) {
    schedule.ended(2, now);
    schedule.observe(masks, now);
    CHECK(is_about(schedule.next_due_ms(), now, 60000));
    now = schedule.next_due_ms();
    REQUIRE(schedule.take_due(now) == 2);
  }
}

TEST_CASE("HelloSchedule: a slot never has two hellos, not even when asked for") {
  HelloSchedule schedule{kSeed};
  schedule.observe({.used = 1}, 0);
  REQUIRE(schedule.take_due(0) == 0);
  schedule.ask(0, 1);
  CHECK_FALSE(schedule.take_due(1));
  schedule.observe({.used = 1, .online = 1}, 2);
  schedule.observe({.used = 1}, 3);
  CHECK_FALSE(schedule.take_due(1000000));
}

TEST_CASE("HelloSchedule: who asks is served at once, also for an online or refusing peer") {
  for (const PeerMasks masks : {PeerMasks{.used = 1}, PeerMasks{.used = 1, .online = 1},
                                PeerMasks{.used = 1, .refused = 1}}) {
    HelloSchedule schedule{kSeed};
    schedule.observe(masks, 0);
    take_all(schedule, 0);
    schedule.ended(0, 0);
    schedule.observe(masks, 0);
    schedule.ask(0, 5);
    CHECK(schedule.take_due(5) == 0);
  }
}

TEST_CASE("HelloSchedule: a removed peer is never called, and its slot's next peer at once") {
  HelloSchedule schedule{kSeed};
  schedule.observe({.used = 1}, 0);
  schedule.observe({}, 1);
  CHECK_FALSE(schedule.take_due(1000));
  schedule.observe({.used = 1}, 2000);
  CHECK(schedule.take_due(2000) == 0);
}

TEST_CASE("HelloSchedule: whatever the list does, what is due is a known peer without a hello") {
  std::mt19937_64 random{kSeed};
  HelloSchedule schedule{kSeed};
  std::set<int> running;
  std::uint64_t now = 0;
  for (int step = 0; step < 20000; ++step) {
    now += random() % 5000;
    const std::uint64_t used = random() & random();
    schedule.observe({.used = used, .online = random() & used, .refused = random() & used}, now);
    if (random() % 4 == 0) schedule.ask(static_cast<int>(random() % kMaxPeers), now);
    while (const auto slot = schedule.take_due(now)) {
      REQUIRE((used >> *slot & 1) == 1);
      REQUIRE(running.insert(*slot).second);
    }
    REQUIRE(schedule.next_due_ms() > now);
    if (!running.empty() && random() % 2 == 0) {
      schedule.ended(*running.begin(), now);
      running.erase(running.begin());
    }
  }
}
