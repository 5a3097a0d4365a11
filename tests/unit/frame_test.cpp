#include "common/wire/frame.h"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace lefting::wire;

namespace {

std::vector<std::byte> raw(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::vector<std::byte> preamble(std::uint32_t header, std::uint32_t data) {
  std::vector<std::byte> bytes;
  for (const std::uint32_t size : {header, data}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::byte>(size >> shift & 0xff));
    }
  }
  return bytes;
}

std::vector<std::byte> pattern(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7);
  return bytes;
}

}  // namespace

TEST_CASE("encode_frame: the sizes are big-endian, then come header and data") {
  const auto frame = encode_frame("{}", raw({0xaa, 0xbb, 0xcc}));
  CHECK(frame == raw({0, 0, 0, 2, 0, 0, 0, 3, '{', '}', 0xaa, 0xbb, 0xcc}));
}

TEST_CASE("decode_sizes: takes exactly the sizes within the limits") {
  for (const std::uint32_t header : {2u, 3u, 255u, 65535u, 65536u}) {
    for (const std::uint32_t data : {0u, 1u, 16777215u, 16777216u}) {
      CAPTURE(header);
      CAPTURE(data);
      const auto bytes = preamble(header, data);
      const auto sizes = decode_sizes(std::span{bytes}.first<8>());
      REQUIRE(sizes.ok());
      CHECK(sizes.value().header == header);
      CHECK(sizes.value().data == data);
      const auto again = encode_sizes(sizes.value());
      CHECK(std::vector<std::byte>(again.begin(), again.end()) == bytes);
    }
  }
}

TEST_CASE("decode_sizes: a header too small is bad_frame, what is over a limit is too_large") {
  struct Case {
    std::uint32_t header;
    std::uint32_t data;
    Code code;
  };
  for (const Case& one :
       {Case{0, 0, Code::bad_frame}, Case{1, 0, Code::bad_frame},
        Case{0, 0xffffffff, Code::bad_frame}, Case{65537, 0, Code::too_large},
        Case{0xffffffff, 0, Code::too_large}, Case{2, 16777217, Code::too_large},
        Case{2, 0xffffffff, Code::too_large}, Case{0xffffffff, 0xffffffff, Code::too_large}}) {
    CAPTURE(one.header);
    CAPTURE(one.data);
    const auto bytes = preamble(one.header, one.data);
    const auto sizes = decode_sizes(std::span{bytes}.first<8>());
    REQUIRE_FALSE(sizes.ok());
    CHECK(sizes.error().code == one.code);
  }
}

TEST_CASE("take_frame: a frame cut at any byte waits, and nothing is consumed") {
  const std::vector<std::byte> whole = encode_frame(R"({"operation":"news"})", pattern(16));
  for (std::size_t arrived = 0; arrived < whole.size(); ++arrived) {
    CAPTURE(arrived);
    std::span<const std::byte> bytes{whole.data(), arrived};
    const auto frame = take_frame(bytes);
    REQUIRE(frame.ok());
    CHECK_FALSE(frame.value().has_value());
    CHECK(bytes.size() == arrived);
  }
}

TEST_CASE("take_frame: sizes over a limit are refused before the rest has come") {
  auto bytes = preamble(2, 16777217);
  std::span<const std::byte> left{bytes};
  const auto frame = take_frame(left);
  REQUIRE_FALSE(frame.ok());
  CHECK(frame.error().code == Code::too_large);
}

TEST_CASE("take_frame: frames that came together are taken one by one") {
  std::vector<std::byte> stream;
  for (std::size_t i = 0; i < 50; ++i) {
    const auto frame = encode_frame("{\"id\":" + std::to_string(i) + "}", pattern(i));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  std::span<const std::byte> left{stream};
  for (std::size_t i = 0; i < 50; ++i) {
    CAPTURE(i);
    const auto frame = take_frame(left);
    REQUIRE(frame.ok());
    REQUIRE(frame.value().has_value());
    CHECK(frame.value()->header == "{\"id\":" + std::to_string(i) + "}");
    const auto data = frame.value()->data;
    CHECK(std::vector<std::byte>(data.begin(), data.end()) == pattern(i));
  }
  CHECK(left.empty());
}

TEST_CASE("take_frame: the largest frame goes through") {
  const std::string header(kMaxHeaderBytes, ' ');
  const auto data = pattern(kMaxDataBytes);
  const auto bytes = encode_frame(header, data);
  std::span<const std::byte> left{bytes};
  const auto frame = take_frame(left);
  REQUIRE(frame.ok());
  REQUIRE(frame.value().has_value());
  CHECK(frame.value()->header == header);
  CHECK(frame.value()->data.size() == data.size());
  CHECK(left.empty());
}

TEST_CASE("Code: each has its own text, which gives the code back") {
  for (int i = 1; i <= static_cast<int>(Code::internal); ++i) {
    const Code code = static_cast<Code>(i);
    CAPTURE(to_text(code));
    CHECK(parse_code(to_text(code)) == code);
    CHECK(make_error_code(code).message().starts_with(to_text(code)));
  }
  CHECK_FALSE(parse_code("").has_value());
  CHECK_FALSE(parse_code("BUSY").has_value());
  CHECK(std::error_code{Code::busy} != std::error_code{Code::internal});
}
