#include "scanner/large_files.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "tests/unit/noise.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using scanner::LargeFiles;

namespace {

constexpr std::size_t kBytes = 17u << 20;

struct Fixture {
  test::TempFolder folder;
  share::Share share = share::Share::open(folder.path()).take();
  std::vector<Basis> bases;
  bool is_broken = false;
  LargeFiles files{share, 1,
                   [this](const share::Sketch&) {
                     if (is_broken) throw std::runtime_error{"the store is gone"};
                     return bases;
                   },
                   [] { return false; }};

  LargeFiles::Wish wish(const std::string& path, LargeFiles::Work work) {
    std::ofstream{folder / path, std::ios::binary} << test::noise(kBytes, 1);
    return {.path = path,
            .stat = *share.stat(path).value(),
            .work = work,
            .kinds = HashKinds::only(HashKind::blake3)};
  }
  std::vector<std::string> next_done() {
    pollfd done{.fd = files.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(poll_fds({&done, 1}, 10'000) == 1);
    return files.take_done();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "LargeFiles: what is hashed has a sketch, and blocks where it is alike") {
  SUBCASE("like nothing") {}
  SUBCASE("alike") { bases = {{ContentHash{{1}}, 2, 3}}; }
  files.ask(wish("f", LargeFiles::Work::hash));
  CHECK(next_done() == std::vector<std::string>{"f"});
  CHECK(files.is_idle());
  const auto done = files.take("f");
  REQUIRE(done.has_value());
  REQUIRE(done->hashes.ok());
  CHECK(done->wish.sketch.value_or(share::Sketch{}).size() == 8);
  CHECK(done->wish.manifest.bases == bases);
  CHECK(done->wish.manifest.blocks.empty() == bases.empty());
  CHECK_FALSE(files.take("f").has_value());
}

TEST_CASE_FIXTURE(Fixture, "LargeFiles: what is asked for comes before what has time") {
  // The one thread that does all begins with one of these.
  std::deque<LargeFiles::Wish> later;
  for (int i = 0; i < 20; ++i) {
    later.push_back(wish("later" + std::to_string(i), LargeFiles::Work::sketch));
  }
  auto asked = wish("asked", LargeFiles::Work::hash);
  files.ask_later(later);
  files.ask(std::move(asked));
  std::vector<std::string> order;
  while (std::ranges::find(order, "asked") == order.end()) {
    for (const std::string& path : next_done()) order.push_back(path);
  }
  CHECK(order.size() < 20);
  files.ask_later({});
  while (!files.is_idle()) next_done();
}

TEST_CASE_FIXTURE(Fixture, "LargeFiles: what came after it was told stays until it is told") {
  files.ask(wish("f", LargeFiles::Work::sketch));
  CHECK(next_done() == std::vector<std::string>{"f"});
  CHECK(files.is_pending("f"));
  auto sketched = files.take("f");
  REQUIRE(sketched.has_value());
  CHECK_FALSE(files.is_pending("f"));
  sketched->wish.work = LargeFiles::Work::hash;
  files.ask(std::move(sketched->wish));
  CHECK(files.is_pending("f"));
  pollfd done{.fd = files.fd(), .events = POLLIN, .revents = 0};
  REQUIRE(poll_fds({&done, 1}, 10'000) == 1);
  files.drop_told();
  CHECK(files.is_pending("f"));
  CHECK(files.take_done() == std::vector<std::string>{"f"});
  files.drop_told();
  CHECK_FALSE(files.take("f").has_value());
}

TEST_CASE_FIXTURE(Fixture, "LargeFiles: what a thread throws is thrown to who takes what is done") {
  is_broken = true;
  files.ask(wish("f", LargeFiles::Work::hash));
  CHECK_THROWS_WITH(next_done(), "the store is gone");
}
