#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "common/net/connection.h"
#include "tests/unit/net_fixture.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

TEST_CASE("Connection: what is sent of a file arrives, with what is sent before and after it") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const auto data = pattern(5'000'000);  // more than the sockets take without a reader
  const std::span<const std::byte> bytes{data};
  const TempFolder folder;
  std::ofstream{folder / "f", std::ios::binary}.write(reinterpret_cast<const char*>(data.data()),
                                                      static_cast<std::streamsize>(data.size()));
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    bool sent = false;
    {
      const std::jthread sender{[&] {
        sent = pair.caller.send_begin("{}", 5'000'000, bytes.first(1001)).ok() &&
               pair.caller.send_file(fd.get(), 1001, 4'900'000).ok() &&
               pair.caller.send_more(bytes.subspan(4'901'001)).ok();
      }};
      const auto frame = pair.answerer.receive(kPatience);
      REQUIRE(frame.ok());
      CHECK((frame.value().data == data));
    }
    CHECK(sent);
  }
}

TEST_CASE("Connection: a file that ends too early is an error") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const TempFolder folder;
  std::ofstream{folder / "f"} << "short";
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    REQUIRE(pair.caller.send_begin("{}", 100, {}).ok());
    const auto sent = pair.caller.send_file(fd.get(), 1, 100);
    REQUIRE(!sent.ok());
    CHECK(sent.error().code.value() == ESTALE);
  }
}
