#include "common/wire/messages.h"

#include <doctest/doctest.h>

#include <limits>
#include <ostream>
#include <random>
#include <string>

#include "tests/unit/sample_greeting.h"

using namespace lefting;
using namespace lefting::wire;
using lefting::test::full_greeting;

namespace {

const std::string kDevice = to_text(DeviceId{});
const std::string kHash(64, 'a');

std::string hello_with(const std::string& more) {
  return R"({"operation":"hello","protocol":1,"device":")" + kDevice + "\"" + more + "}";
}
std::string get_file_with(const std::string& more) {
  return R"({"operation":"get_file","path":"a/b.txt")" + more + "}";
}

Request good(const std::string& header) {
  CAPTURE(header);
  auto outcome = decode_request(header);
  const auto* bad = std::get_if<BadRequest>(&outcome);
  INFO((bad == nullptr ? "" : bad->message));
  REQUIRE(bad == nullptr);
  return std::get<Request>(outcome);
}

BadRequest bad(const std::string& header) {
  CAPTURE(header);
  auto outcome = decode_request(header);
  REQUIRE(std::holds_alternative<BadRequest>(outcome));
  const BadRequest request = std::get<BadRequest>(outcome);
  CHECK_FALSE(request.message.empty());
  CHECK(request.fatal() == (request.code == Code::bad_frame));
  return request;
}

}  // namespace

TEST_CASE("decode_request: the smallest requests of the protocol are taken") {
  const Request hello = good(hello_with(""));
  CHECK(hello.operation == Operation::hello);
  CHECK(hello.greeting.device == DeviceId{});
  CHECK(hello.greeting.port == 0);
  CHECK_FALSE(hello.greeting.index.has_value());
  CHECK_FALSE(hello.greeting.more);
  CHECK(hello.greeting.encoding == Encoding::identity);

  const Request block = good(get_file_with(R"(,"length":10)"));
  CHECK(block.operation == Operation::get_file);
  CHECK(block.file.path == "a/b.txt");
  CHECK(block.file.part == Part::block);
  CHECK(block.file.offset == 0);
  CHECK(block.file.length == 10);

  CHECK(good(get_file_with(R"(,"part":"manifest")")).file.part == Part::manifest);
  CHECK(good(get_file_with(R"(,"part":"entry")")).file.part == Part::entry);
  const Request have = good(get_file_with(R"(,"part":"have","stamp":{"AAAAAAAA":7})"));
  CHECK(have.file.part == Part::have);
  CHECK(have.file.stamp == VersionCounter{*parse_short_id("AAAAAAAA"), 7});
}

TEST_CASE("decode_request: what encode_request writes comes back the same") {
  for (const Operation operation : {Operation::hello, Operation::news}) {
    for (const Greeting& greeting : {full_greeting(), [] {
                                       Greeting small;
                                       small.device = DeviceId{};
                                       return small;
                                     }()}) {
      const Request request{operation, -7, greeting, {}};
      const Request again = good(encode_request(request));
      CHECK(again.operation == operation);
      CHECK(again.id == -7);
      CHECK(again.greeting == greeting);
    }
  }
  GetFile block{"p\x01\"\\/x", Part::block, 5, kMaxBlockLength, ContentHash{}, true, 0, 0};
  GetFile manifest{"p", Part::manifest, 0, 0, std::nullopt, false, 9, 4};
  GetFile entry{"caf\xe9/x", Part::entry, 0, 0, ContentHash{{}, HashKind::blake3}, false, 0, 0};
  GetFile have{"p", Part::have, 0, 0, std::nullopt, false, 0, 0};
  have.stamp = VersionCounter{*parse_short_id("AAAAAAAA"), 3};
  for (const GetFile& file : {block, manifest, entry, have}) {
    const Request request{Operation::get_file, std::nullopt, {}, file};
    CHECK(good(encode_request(request)).file == file);
  }
}

TEST_CASE("decode_request: what is not exactly one JSON object is bad_frame") {
  for (const std::string& header : {std::string{""},
                                    std::string{"  "},
                                    std::string{"[]"},
                                    std::string{"null"},
                                    std::string{"5"},
                                    std::string{"\"x\""},
                                    std::string{"{"},
                                    std::string{"{}{}"},
                                    std::string{"{} x"},
                                    std::string{"{}\0{}", 5},
                                    std::string{"{}\0", 3},
                                    std::string{"{\"a\":1,}"},
                                    std::string{"{'a':1}"},
                                    std::string{"{\"a\" 1}"},
                                    std::string{"{\"a\":\"\xff\"}"},
                                    std::string{"{\"a\":\"\xc0\x80\"}"},
                                    std::string{"{\"\xed\xa0\x80\":1}"},
                                    std::string{"{\"a\":\"\\ud800\"}"},
                                    std::string{"{\"a\":\"x\0y\"}", 11},
                                    std::string{"{\"a\":1e999999}"},
                                    std::string{"{\"a\":NaN}"},
                                    std::string{"\xef\xbb\xbf{}"}}) {
    CHECK(bad(header).code == Code::bad_frame);
  }
}

TEST_CASE("decode_request: a request cut at any byte is bad_frame") {
  const std::string whole = encode_request({Operation::hello, 1, full_greeting(), {}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(bad(whole.substr(0, size)).code == Code::bad_frame);
  }
}

TEST_CASE("decode_request: brackets beyond the depth are refused, up to it they are ignored") {
  const auto nested = [](int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return hello_with(",\"x\":" + std::string(count, '[') + std::string(count, ']'));
  };
  good(nested(kMaxJsonDepth - 1));
  CHECK(bad(nested(kMaxJsonDepth)).code == Code::bad_frame);
  CHECK(bad(nested(30000)).code == Code::bad_frame);
  CHECK(bad(std::string(65536, '[')).code == Code::bad_frame);
  std::string objects;
  for (int i = 0; i < 10000; ++i) objects += "{\"a\":";
  CHECK(bad(objects).code == Code::bad_frame);
  good(hello_with(",\"x\":\"" + std::string(1000, '[') + "\\\"[[\""));
}

TEST_CASE("decode_request: unknown fields are ignored, and null is absent") {
  const Request request = good(hello_with(
      R"(,"x":{"operation":"news"},"y":[1.5,null,true],"index":null,"more":null,"id":null)"));
  CHECK(request.operation == Operation::hello);
  CHECK_FALSE(request.id.has_value());
  CHECK_FALSE(request.greeting.index.has_value());
}

TEST_CASE("decode_request: an unknown operation is named back, and the connection stays") {
  const BadRequest request = bad(R"({"operation":"dance","id":12})");
  CHECK(request.code == Code::unknown_operation);
  CHECK(request.operation == "dance");
  CHECK(request.id == 12);
  CHECK(bad("{\"operation\":\"" + std::string(65, 'x') + "\"}").operation.empty());
}

TEST_CASE("decode_request: a needed field missing or of the wrong type is bad_request") {
  for (const std::string& header : {
           std::string{"{}"},
           std::string{R"({"operation":5})"},
           std::string{R"({"operation":"hello"})"},
           std::string{R"({"operation":"hello","protocol":1})"},
           R"({"operation":"hello","device":")" + kDevice + "\"}",
           R"({"operation":"news","protocol":2,"device":")" + kDevice + "\"}",
           std::string{R"({"operation":"hello","protocol":1,"device":"AAAA"})"},
           hello_with(R"(,"id":"1")"),
           hello_with(R"(,"id":1.0)"),
           hello_with(R"(,"id":9223372036854775808)"),
           hello_with(R"(,"port":65536)"),
           hello_with(R"(,"port":-1)"),
           hello_with(R"(,"port":1e3)"),
           hello_with(R"(,"name":5)"),
           hello_with(R"(,"name":"\udc00")"),
           hello_with(R"(,"more":1)"),
           hello_with(R"(,"encoding":"gzip")"),
           hello_with(R"(,"accept":"zstd")"),
           hello_with(R"(,"index":5)"),
           hello_with(R"(,"index":{})"),
           hello_with(R"(,"index":{"id":"00000000000000ff","from":2,"to":1})"),
           hello_with(R"(,"index":{"id":"00000000000000FF","from":1,"to":2})"),
           hello_with(R"(,"index":{"id":"0000000000000000","from":1,"to":2})"),
           hello_with(R"(,"seen":{"id":"00000000000000ff"})"),
           hello_with(R"(,"seen":{"id":"ff","to":1})"),
           std::string{R"({"operation":"get_file","length":1})"},
           std::string{R"({"operation":"get_file","path":7,"length":1})"},
           std::string{R"({"operation":"get_file","path64":"*","length":1})"},
           get_file_with(R"(,"path64":"YQ==","length":1)"),
           get_file_with(""),
           get_file_with(R"(,"length":0)"),
           get_file_with(R"(,"length":-1)"),
           get_file_with(R"(,"length":1.5)"),
           get_file_with(R"(,"length":1,"offset":-1)"),
           get_file_with(R"(,"length":1,"offset":18446744073709551616)"),
           get_file_with(R"(,"length":1,"hash":"ab")"),
           get_file_with(R"(,"length":1,"blake3":"ab")"),
           get_file_with(R"(,"part":"whole")"),
           get_file_with(R"(,"part":"have")"),
           get_file_with(R"(,"part":"have","stamp":{})"),
           get_file_with(R"(,"part":"have","stamp":{"AAAAAAA":1})"),
           get_file_with(R"(,"part":"have","stamp":{"AAAAAAAA":0})"),
           get_file_with(R"(,"part":"have","stamp":{"AAAAAAAA":1,"BBBBBBBB":1})"),
           get_file_with(R"(,"length":1,"stamp":{"AAAAAAAA":9007199254740992})"),
           get_file_with(R"(,"part":"manifest","first":-1)"),
       }) {
    CHECK(bad(header).code == Code::bad_request);
  }
}

TEST_CASE("decode_request: an error repeats the request's id and operation") {
  const BadRequest request = bad(get_file_with(R"(,"id":-3)"));
  CHECK(request.id == -3);
  CHECK(request.operation == "get_file");
  const Reply reply = error_reply(request);
  CHECK(reply.operation == "get_file");
  CHECK(reply.id == -3);
  CHECK(reply.error == Code::bad_request);
}

TEST_CASE("decode_request: a block too long, too far or of a bad path has its own code") {
  CHECK(good(get_file_with(R"(,"length":16777216)")).file.length == kMaxBlockLength);
  CHECK(bad(get_file_with(R"(,"length":16777217)")).code == Code::too_large);
  CHECK(bad(get_file_with(R"(,"length":18446744073709551615)")).code == Code::too_large);
  good(get_file_with(R"(,"length":1,"offset":9223372036854775807)"));
  CHECK(bad(get_file_with(R"(,"length":1,"offset":9223372036854775808)")).code ==
        Code::out_of_range);
  for (const char* path : {"", "/etc/passwd", "..", "a/../b", "x.lefting", "a\\u0000b"}) {
    CHECK(bad(std::string{R"({"operation":"get_file","length":1,"path":")"} + path + "\"}").code ==
          Code::bad_path);
  }
}

TEST_CASE("decode_request: a long name is cut between characters") {
  std::string name(254, 'x');
  name += "é€";
  CHECK(good(hello_with(",\"name\":\"" + name + "\"")).greeting.name == std::string(254, 'x'));
  CHECK(good(hello_with(",\"name\":\"" + std::string(255, 'y') + "\"")).greeting.name.size() ==
        255);
}

TEST_CASE("path_fault: takes and refuses paths as the protocol says") {
  const std::string c255(255, 'c');
  std::string longest;
  for (int i = 0; i < 15; ++i) longest += c255 + "/";
  longest += std::string(200, 'd') + "/" + std::string(55, 'e');
  for (const std::string& path :
       {std::string{"a"}, std::string{"a/b/c.txt"}, std::string{"..."}, std::string{".a"},
        std::string{"a.."}, std::string{".lefting.txt"}, std::string{"x.LEFTING"}, std::string{" "},
        std::string{"a\nb"}, std::string{"a\\b"}, std::string{"\xff\xfe"}, c255, longest}) {
    CAPTURE(path);
    CHECK_FALSE(path_fault(path).has_value());
  }
  REQUIRE(longest.size() == 4096);
  for (const std::string& path : {std::string{""},
                                  std::string{"/"},
                                  std::string{"/a"},
                                  std::string{"a/"},
                                  std::string{"a//b"},
                                  std::string{"."},
                                  std::string{".."},
                                  std::string{"./a"},
                                  std::string{"a/./b"},
                                  std::string{"a/.."},
                                  std::string{"../a"},
                                  std::string{"a\0b", 3},
                                  std::string{"\0", 1},
                                  c255 + "c",
                                  "a/" + c255 + "c/b",
                                  longest + "x",
                                  std::string{".lefting"},
                                  std::string{"a.lefting"},
                                  std::string{"a.lefting/b"},
                                  std::string{"a/b.lefting"}}) {
    CAPTURE(path);
    CHECK(path_fault(path).has_value());
  }
}

TEST_CASE("decode_request: random damage never does worse than a BadRequest") {
  std::mt19937 random{20240607};
  const std::string whole = encode_request({Operation::hello, 1, full_greeting(), {}});
  for (int round = 0; round < 5000; ++round) {
    std::string text = whole;
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const auto outcome = decode_request(text);
    if (const auto* request = std::get_if<Request>(&outcome)) {
      CHECK(good(encode_request(*request)).greeting == request->greeting);
    }
  }
}
