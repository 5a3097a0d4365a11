#include "common/base/ids.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "common/base/content_hash.h"

using namespace lefting;

TEST_CASE("device id: text and bytes are each other's inverse, in either case and without dashes") {
  std::mt19937 random{7};
  for (int i = 0; i < 200; ++i) {
    DeviceId device;
    for (auto& byte : device.bytes) byte = static_cast<std::uint8_t>(random());
    const std::string text = to_text(device);
    CAPTURE(text);
    CHECK(text.size() == 64);
    CHECK(parse_device_id(text) == device);
    std::string loose;
    for (const char c : text) {
      if (c != '-') loose += static_cast<char>(std::tolower(c));
    }
    CHECK(parse_device_id(loose) == device);
    CHECK_FALSE(parse_device_id(text.substr(1)).has_value());
    CHECK_FALSE(parse_device_id(text + "A").has_value());
  }
}

TEST_CASE("device id: a digit that base32 has not is refused") {
  std::string text = to_text(DeviceId{});
  for (const char c : std::string{"0189!\n"}) {
    text[0] = c;
    CHECK_FALSE(parse_device_id(text).has_value());
  }
}

TEST_CASE("short id: it is the device id's first 8 characters, and orders as text does") {
  DeviceId a;
  DeviceId b;
  b.bytes.fill(0xff);
  CHECK(to_text(short_id(a)) == "AAAAAAAA");
  CHECK(to_text(short_id(b)) == "77777777");
  CHECK(*parse_short_id("22222222") < *parse_short_id("AAAAAAAA"));
  CHECK_FALSE(parse_short_id("AAAAAAA").has_value());
  CHECK_FALSE(parse_short_id("aaaaaaaa").has_value());
}

TEST_CASE("index id: 16 hex digits") {
  CHECK(index_text(0x0123456789abcdef) == "0123456789abcdef");
  CHECK(parse_index_id("0123456789abcdef") == 0x0123456789abcdefULL);
  CHECK_FALSE(parse_index_id("0123456789ABCDEF").has_value());
  CHECK_FALSE(parse_index_id("0123").has_value());
}

TEST_CASE("content hash: 64 lower-case hex digits and nothing else") {
  const std::string text(64, 'a');
  const auto parse = [](std::string_view digits) {
    return parse_content_hash(digits, HashKind::blake3);
  };
  REQUIRE(parse(text).has_value());
  CHECK(to_text(*parse(text)) == text);
  CHECK(parse(text)->kind == HashKind::blake3);
  CHECK_FALSE(parse(std::string(64, 'A')).has_value());
  CHECK_FALSE(parse(std::string(63, 'a')).has_value());
  CHECK_FALSE(parse(std::string(64, 'g')).has_value());
}

TEST_CASE("content hashes: only one of the same kind says something") {
  const ContentHash sha256{{1}, HashKind::sha256};
  const ContentHash blake3{{1}, HashKind::blake3};
  CHECK(hashes_with(sha256).has(sha256));
  CHECK_FALSE(hashes_with(sha256).has(blake3));
  CHECK_FALSE(hashes_with(sha256).has(ContentHash{{2}, HashKind::sha256}));
  CHECK_FALSE(ContentHashes{}.has(std::nullopt));
}

TEST_CASE("base64: any bytes come back") {
  std::mt19937 random{11};
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
  CHECK(to_base64("\xff") == "/w==");
  CHECK_FALSE(from_base64("a*b=").has_value());
}

TEST_CASE("is_utf8: takes what is well-formed, refuses overlong forms, surrogates and cut ones") {
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbf\xbd"}) {
    CAPTURE(good);
    CHECK(is_utf8(good));
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xc3", "\xe2\x82", "\xff", "a\xf0\x9f\x98"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
  }
}
