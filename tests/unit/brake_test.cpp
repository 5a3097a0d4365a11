#include "scanner/brake.h"

#include <doctest/doctest.h>

#include <string>

using namespace lefting;
using namespace lefting::scanner;

namespace {

constexpr std::chrono::milliseconds kSecond{1000};
constexpr std::chrono::milliseconds kMoment{20};
const Deadline kBegin = Deadline{} + std::chrono::hours{1};

void add(Brake& brake, int count, Deadline now, int from = 0) {
  for (int i = from; i < from + count; ++i) brake.add("file " + std::to_string(i), now);
}

}  // namespace

TEST_CASE("brake: a few deletions go after a moment, more when none has come for a second") {
  Brake brake{true};
  CHECK(brake.due() == Deadline::max());
  add(brake, 3, kBegin);
  CHECK(brake.take(1000, false, kBegin).empty());
  CHECK(brake.due() == kBegin + kMoment);
  CHECK(brake.take(1000, false, brake.due()).size() == 3);
  add(brake, 1, kBegin + kSecond / 2);
  CHECK(brake.take(1000, false, kBegin + kSecond / 2).empty());
  CHECK(brake.due() == kBegin + kSecond * 3 / 2);
  CHECK(brake.take(1000, false, brake.due()).size() == 1);
  CHECK(brake.due() == Deadline::max());
  add(brake, 1, kBegin + 5 * kSecond);
  CHECK(brake.take(1000, false, kBegin + 5 * kSecond + kMoment).size() == 1);
}

TEST_CASE("brake: where deletions never cease they go after ten seconds") {
  Brake brake{true};
  Deadline now = kBegin;
  for (int i = 0; i < 100 && brake.due() >= now; ++i, now += kSecond / 2) {
    brake.add(std::to_string(i), now);
    if (i < 3) CHECK(brake.take(1000, false, now + kMoment).size() == 1);
  }
  CHECK(now - kBegin <= 13 * kSecond);
  CHECK(brake.take(1000, false, now).size() >= 18);
}

TEST_CASE("brake: many and a large part are held, and only both") {
  for (const int gone : {100, 101, 250, 251}) {
    for (const std::uint64_t files : {400u, 404u, 1000u, 1004u}) {
      CAPTURE(gone);
      CAPTURE(files);
      const bool held = gone > 100 && static_cast<std::uint64_t>(gone) * 4 > files;
      Brake brake{true};
      add(brake, gone, kBegin);
      CHECK(brake.take(files, true, kBegin).size() == (held ? 0u : static_cast<unsigned>(gone)));
      CHECK(brake.held() == (held ? static_cast<unsigned>(gone) : 0u));
      Brake off{false};
      add(off, gone, kBegin);
      CHECK(off.take(files, true, kBegin).size() == static_cast<unsigned>(gone));
    }
  }
}

TEST_CASE("brake: what is held stays so until it is approved, given up, or comes back") {
  Brake brake{true};
  add(brake, 300, kBegin);
  CHECK(brake.take(400, false, kBegin + 2 * kSecond).empty());
  CHECK(brake.held() == 300);
  add(brake, 5, kBegin + 9 * kSecond, 300);
  CHECK(brake.held() == 305);
  CHECK(brake.take(400, false, kBegin + 20 * kSecond).empty());
  CHECK(brake.take(400, true, kBegin + 20 * kSecond).empty());

  Brake approved = brake;
  approved.approve();
  CHECK(approved.take(400, false, kBegin + 21 * kSecond).empty());  // a traversal looks again first
  CHECK(approved.take(400, true, kBegin + 21 * kSecond).size() == 305);
  CHECK(approved.held() == 0);
  add(approved, 300, kBegin + 30 * kSecond);  // approved is what was held, no more
  CHECK(approved.take(400, true, kBegin + 40 * kSecond).empty());

  Brake given_up = brake;
  CHECK(given_up.give_up().size() == 305);
  CHECK(given_up.held() == 0);
  CHECK(given_up.take(400, true, kBegin + 21 * kSecond).empty());

  for (int i = 0; i < 305; ++i) brake.remove("file " + std::to_string(i));
  CHECK(brake.held() == 0);
  CHECK(brake.take(400, true, kBegin + 21 * kSecond).empty());
  add(brake, 3, kBegin + 30 * kSecond);
  CHECK(brake.take(400, false, brake.due()).size() == 3);
}
