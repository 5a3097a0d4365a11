// Replies: encode_reply and decode_reply.

#include <doctest/doctest.h>

#include <limits>
#include <ostream>
#include <string>

#include "common/wire/frame.h"
#include "common/wire/messages.h"
#include "tests/unit/sample_greeting.h"

using namespace lefting;
using namespace lefting::wire;
using lefting::test::full_greeting;

TEST_CASE("decode_reply: what encode_reply writes comes back the same") {
  Reply reply;
  reply.operation = "hello";
  reply.id = 5;
  reply.greeting = full_greeting();
  reply.rejected = {{"../x", "the path has a component . or .."}};
  const auto hello = decode_reply(encode_reply(reply));
  REQUIRE(hello.ok());
  CHECK(hello.value().operation == "hello");
  CHECK(hello.value().id == 5);
  CHECK(hello.value().greeting == reply.greeting);
  CHECK(hello.value().rejected == reply.rejected);

  reply.operation = "news";
  const auto news = decode_reply(encode_reply(reply));
  REQUIRE(news.ok());
  CHECK(news.value().greeting.seen == reply.greeting.seen);
  CHECK(news.value().rejected == reply.rejected);
}

TEST_CASE("decode_reply: blocks, manifests and entries come back the same") {
  Reply block;
  block.operation = "get_file";
  block.offset = 1u << 20;
  block.size = std::uint64_t{1} << 40;
  block.mtime_ns = std::numeric_limits<std::int64_t>::min();
  block.hash = ContentHash{{1}, HashKind::blake3};
  block.encoding = Encoding::zstd;
  block.raw_size = 77;
  const auto got = decode_reply(encode_reply(block));
  REQUIRE(got.ok());
  CHECK_FALSE(got.value().error.has_value());
  CHECK(got.value().offset == block.offset);
  CHECK(got.value().size == block.size);
  CHECK(got.value().mtime_ns == block.mtime_ns);
  CHECK(got.value().hash == block.hash);
  CHECK(got.value().encoding == Encoding::zstd);
  CHECK(got.value().raw_size == 77);

  Reply manifest;
  manifest.operation = "get_file";
  manifest.hash = ContentHash{};
  manifest.blocks = 123;
  manifest.first = 100;
  manifest.cut = "gear-1";
  manifest.bases = {{ContentHash{{7}}, 5, -5},
                    {ContentHash{{}, HashKind::blake3}, std::uint64_t{1} << 40, 9}};
  const auto blocks = decode_reply(encode_reply(manifest));
  REQUIRE(blocks.ok());
  CHECK(blocks.value().blocks == 123);
  CHECK(blocks.value().first == 100);
  CHECK(blocks.value().cut == "gear-1");
  CHECK(blocks.value().bases == manifest.bases);

  Reply entry;
  entry.operation = "get_file";
  entry.entry =
      Entry{"caf\xe9", 3, -5, 0600, ContentHash{}, {{*parse_short_id("ABCDEFGH"), 9}}, false};
  const auto what = decode_reply(encode_reply(entry));
  REQUIRE(what.ok());
  CHECK(what.value().entry == entry.entry);
}

TEST_CASE("decode_reply: what is no basis is passed over, and so are all beyond the fourth") {
  const auto bases = [](const std::string& list) {
    const auto reply =
        decode_reply(R"({"reply":"get_file","status":"ok","cut":"c","bases":)" + list + "}");
    REQUIRE(reply.ok());
    return reply.value().bases;
  };
  const std::string good = R"({"size":3,"mtime":-4,"hash":")" + to_text(ContentHash{{1}}) + R"("})";
  CHECK(bases("[" + good + "]") == std::vector<Basis>{{ContentHash{{1}}, 3, -4}});
  for (const char* bad :
       {"{}", "{\"size\":3}", R"({"size":-1,"mtime":1,"hash":"00"})", R"({"hash":7})"}) {
    CAPTURE(bad);
    CHECK(bases("[" + std::string{bad} + "," + good + "]").size() == 1);
  }
  CHECK(bases("[1," + good + "]").size() == 1);
  CHECK(bases("[" + good + "," + good + "," + good + "," + good + "," + good + "]").size() ==
        kMostBases);
  CHECK(bases("null").empty());
  CHECK_FALSE(decode_reply(R"({"reply":"get_file","status":"ok","cut":"c","bases":3})").ok());
}

TEST_CASE("decode_reply: every error code comes back, with what belongs to it") {
  for (int i = 1; i <= static_cast<int>(Code::internal); ++i) {
    const Request request{Operation::get_file, i, {}, {}};
    Reply reply = error_reply(request, static_cast<Code>(i), "why\n\xff");
    reply.retry_after_ms = 250;
    reply.entry = Entry{"a", 1, 2, 0644, {}, {}, false};
    const auto got = decode_reply(encode_reply(reply));
    REQUIRE(got.ok());
    CHECK(got.value().error == static_cast<Code>(i));
    CHECK(got.value().operation == "get_file");
    CHECK(got.value().id == i);
    CHECK(got.value().message == "why\n\\xff");
    CHECK(got.value().retry_after_ms == 250);
    CHECK(got.value().entry == reply.entry);
  }
  const auto later = decode_reply(R"({"reply":"hello","status":"error","error":"tired"})");
  REQUIRE(later.ok());
  CHECK(later.value().error == Code::internal);
}

TEST_CASE("decode_reply: what is no reply is bad_frame") {
  for (const char* header :
       {"", "[]", "{}", R"({"reply":"hello"})", R"({"reply":"hello","status":"fine"})",
        R"({"reply":5,"status":"ok"})", R"({"reply":"get_file","status":"ok","size":"5"})",
        R"({"reply":"get_file","status":"ok","entry":{"path":"../x","size":1,"mtime":2}})",
        R"({"reply":"hello","status":"ok","port":70000})",
        R"({"reply":"hello","status":"ok","rejected":{}})"}) {
    CAPTURE(header);
    const auto reply = decode_reply(header);
    REQUIRE_FALSE(reply.ok());
    CHECK(reply.error().code == Code::bad_frame);
  }
}

TEST_CASE("encode_reply: a reply fits a frame however much was rejected") {
  for (const char filler : {'x', '\x01', '\xff'}) {
    Reply reply;
    reply.operation = "hello";
    reply.greeting = full_greeting();
    reply.rejected.assign(150, Rejected{std::string(4096, filler), std::string(5000, filler)});
    const std::string header = encode_reply(reply);
    CHECK(header.size() <= kMaxHeaderBytes);
    const auto got = decode_reply(header);
    REQUIRE(got.ok());
    CHECK(got.value().greeting == reply.greeting);
    CHECK(got.value().rejected.size() > 0);
  }
  Reply reply;
  reply.operation = "news";
  reply.rejected.assign(150, Rejected{"a", "b"});
  const auto got = decode_reply(encode_reply(reply));
  REQUIRE(got.ok());
  CHECK(got.value().rejected.size() == 100);
}
