#include "common/wire/entry_list.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <ostream>
#include <random>
#include <string>

using namespace lefting;
using namespace lefting::wire;

namespace {

struct Read {
  std::vector<Entry> entries;
  std::vector<Rejected> rejected;
  Status status;
};

Read read(std::string_view page) {
  Read out;
  out.status = decode_entry_list(
      page, [&](Entry&& entry) { out.entries.push_back(std::move(entry)); }, out.rejected);
  return out;
}

/// The one entry of a list; fails the test where it is rejected.
Entry one(const std::string& object) {
  CAPTURE(object);
  const Read out = read("[" + object + "]");
  REQUIRE(out.status.ok());
  REQUIRE(out.entries.size() == 1);
  return out.entries.front();
}

/// Between two good entries, `object` is rejected alone.
Rejected rejected(const std::string& object) {
  CAPTURE(object);
  const std::string before = R"({"path":"a","size":1,"mtime":2})";
  const std::string after = R"({"path":"z","size":1,"mtime":2})";
  const Read out = read("[" + before + "," + object + "," + after + "]");
  REQUIRE(out.status.ok());
  REQUIRE(out.entries.size() == 2);
  CHECK(out.entries[1].path == "z");
  REQUIRE(out.rejected.size() == 1);
  CHECK_FALSE(out.rejected.front().error.empty());
  return out.rejected.front();
}

std::string with(const std::string& more) {
  return R"({"path":"p","size":1,"mtime":2)" + more + "}";
}

template <class Random>
std::string random_path(Random& random) {
  std::string path;
  const std::size_t components = 1 + random() % 4;
  for (std::size_t i = 0; i < components; ++i) {
    if (i > 0) path += '/';
    const std::size_t length = 1 + random() % 12;
    for (std::size_t k = 0; k < length; ++k) {
      const char c = static_cast<char>(random() % 255 + 1);
      path += c == '/' || c == '.' ? '_' : c;
    }
  }
  return path;
}

template <class Random>
Entry random_entry(Random& random) {
  Entry entry;
  entry.path = random() % 2 == 0 ? random_path(random) : "folder/file " + std::to_string(random());
  entry.deleted = random() % 5 == 0;
  entry.size = entry.deleted ? 0 : random() >> (1 + random() % 63);
  entry.mtime_ns = static_cast<std::int64_t>(random()) >> (random() % 63);
  entry.mode = static_cast<std::uint32_t>(random() % 01000);
  if (random() % 2 == 0) {
    entry.hash.emplace().kind = random() % 2 != 0 ? HashKind::blake3 : HashKind::sha256;
    for (auto& byte : entry.hash->bytes) byte = static_cast<std::uint8_t>(random());
  }
  std::vector<ShortId> devices;
  for (std::size_t i = random() % 4; i > 0; --i) {
    DeviceId device;
    for (auto& byte : device.bytes) byte = static_cast<std::uint8_t>(random());
    devices.push_back(short_id(device));
  }
  std::sort(devices.begin(), devices.end());
  for (const ShortId device : devices) entry.version.push_back({device, 1 + (random() >> 12)});
  return entry;
}

}  // namespace

TEST_CASE("decode_entry_list: the smallest entry has the defaults of the protocol") {
  const Entry entry = one(R"({"path":"a/b","size":5,"mtime":-7})");
  CHECK(entry == Entry{"a/b", 5, -7, 0644, std::nullopt, {}, false});
  CHECK(one(with(R"(,"mode":null,"hash":null,"version":null,"deleted":false)")) ==
        Entry{"p", 1, 2, 0644, std::nullopt, {}, false});
}

TEST_CASE("decode_entry_list: an empty list has no entries") {
  CHECK(read("[]").status.ok());
  CHECK(read(" [ \n] ").status.ok());
  CHECK(read("[]").entries.empty());
  EntryListWriter writer;
  CHECK(writer.take() == "[]");
}

TEST_CASE("decode_entry_list: random entries come back the same") {
  std::mt19937_64 random{42};
  EntryListWriter writer;
  std::vector<Entry> entries;
  for (int i = 0; i < 3000; ++i) {
    entries.push_back(random_entry(random));
    writer.add(entries.back());
  }
  CHECK(writer.count() == 3000);
  const std::size_t size = writer.size_bytes();
  const std::string page = writer.take();
  CHECK(page.size() == size);
  CHECK(writer.count() == 0);
  const Read out = read(page);
  REQUIRE(out.status.ok());
  CHECK(out.rejected.empty());
  CHECK(out.entries == entries);
  for (const Entry& entry : entries) CHECK(one(encode_entry(entry)) == entry);
}

TEST_CASE("decode_entry_list: numbers are taken up to their limits") {
  CHECK(one(R"({"path":"p","size":9223372036854775807,"mtime":9223372036854775807})").size ==
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  CHECK(one(R"({"path":"p","size":0,"mtime":-9223372036854775808,"mode":0})").mtime_ns ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(one(with(R"(,"mode":511,"version":{"ABCDEFG2":9007199254740991,"AAAAAAAA":1})")).version ==
        VersionVector{{*parse_short_id("AAAAAAAA"), 1},
                      {*parse_short_id("ABCDEFG2"), 9007199254740991}});
}

TEST_CASE("decode_entry_list: a field of the wrong type or out of its limits spoils its entry") {
  for (const char* object : {
           R"({"path":"p","size":9223372036854775808,"mtime":1})",
           R"({"path":"p","size":-1,"mtime":1})",
           R"({"path":"p","size":1.0,"mtime":1})",
           R"({"path":"p","size":"1","mtime":1})",
           R"({"path":"p","size":1,"mtime":9223372036854775808})",
           R"({"path":"p","size":1,"mtime":-9223372036854775809})",
           R"({"path":"p","size":1,"mtime":1.5})",
           R"({"path":"p","size":1,"mtime":true})",
           R"({"path":"p","size":[1],"mtime":1})",
           R"({"path":"p","size":{"a":1},"mtime":1})",
       }) {
    CHECK(rejected(object).path == "p");
  }
  for (const char* more : {R"(,"mode":512)",
                           R"(,"mode":-1)",
                           R"(,"mode":"0644")",
                           R"(,"hash":5)",
                           R"(,"hash":"")",
                           R"(,"hash":"AA")",
                           R"(,"blake3":[])",
                           R"(,"blake3":"AA")",
                           R"(,"deleted":1)",
                           R"(,"deleted":true)",
                           R"(,"version":[])",
                           R"(,"version":"x")",
                           R"(,"version":{"ABCDEFGH":0})",
                           R"(,"version":{"ABCDEFGH":9007199254740992})",
                           R"(,"version":{"ABCDEFGH":-1})",
                           R"(,"version":{"ABCDEFGH":1.0})",
                           R"(,"version":{"ABCDEFGH":{}})",
                           R"(,"version":{"ABCDEFGH":[1]})",
                           R"(,"version":{"ABCDEFGH":null})",
                           R"(,"version":{"ABCDEFG":1})",
                           R"(,"version":{"ABCDEFGHI":1})",
                           R"(,"version":{"abcdefgh":1})",
                           R"(,"version":{"ABCDEFG1":1})",
                           R"(,"version":{"ABCDEFGH":1,"ABCDEFGH":2})",
                           R"(,"path64":"YQ==")",
                           R"(,"path":"q")"}) {
    CHECK(rejected(with(more)).path == "p");
  }
}

TEST_CASE("decode_entry_list: what is missing is said") {
  CHECK(rejected("{}").error == "path is missing");
  CHECK(rejected(R"({"size":1,"mtime":2})").error == "path is missing");
  CHECK(rejected(R"({"path":"p","mtime":2})").error == "size is missing");
  CHECK(rejected(R"({"path":"p","size":2})").error == "mtime is missing");
  CHECK(rejected(R"({"path":null,"size":2,"mtime":2})").error == "path is missing");
}

TEST_CASE("decode_entry_list: a tombstone has the size 0") {
  const Entry gone = one(R"({"path":"p","size":0,"mtime":2,"deleted":true})");
  CHECK(gone.deleted);
  CHECK(gone.size == 0);
  rejected(R"({"path":"p","size":1,"mtime":2,"deleted":true})");
}

TEST_CASE("decode_entry_list: a version has at most 256 devices") {
  const auto vector_of = [](int count) {
    std::string text = ",\"version\":{";
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(1000 + i);
      std::string device = "ABCD";
      for (const char digit : number) device += static_cast<char>(digit - '0' + 'G');
      text += (i > 0 ? ",\"" : "\"") + device + "\":7";
    }
    return text + "}";
  };
  CHECK(one(with(vector_of(256))).version.size() == 256);
  rejected(with(vector_of(257)));
  rejected(with(vector_of(5000)));
}

TEST_CASE("decode_entry_list: unknown fields of any shape are skipped") {
  CHECK(one(with(R"(,"x":{"path":"q","size":"no","version":{"a":[{"deleted":1}]}},"y":[[],{},"s"])"
                 R"(,"z":1.5e3,"w":null,"":true)")) ==
        Entry{"p", 1, 2, 0644, std::nullopt, {}, false});
}

TEST_CASE("decode_entry_list: paths that break the rules are rejected, each alone") {
  for (const char* path :
       {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\u0000b", "x.lefting", "x.lefting/y"}) {
    rejected(std::string{R"({"size":1,"mtime":2,"path":")"} + path + "\"}");
  }
  rejected(R"({"size":1,"mtime":2,"path":"\udc00"})");
  rejected(R"({"size":1,"mtime":2,"path64":"Li4="})");  // ..
  rejected(R"({"size":1,"mtime":2,"path64":"!"})");
  rejected(R"({"size":1,"mtime":2,"path64":""})");
  CHECK(rejected(R"({"size":1,"mtime":2,"path":")" + std::string(5000, 'x') + "\"}").path.size() ==
        4096);
}

TEST_CASE("decode_entry_list: a name that is not UTF-8 travels as path64") {
  const Entry entry{"caf\xe9/\xff", 1, 2, 0644, std::nullopt, {}, false};
  const std::string text = encode_entry(entry);
  CHECK(text.find("\"path64\"") != text.npos);
  CHECK(text.find("\"path\"") == text.npos);
  CHECK(one(text) == entry);
  CHECK(rejected(R"({"size":-1,"mtime":2,"path64":"Y2Fm6Q=="})").path == "caf\\xe9");
}

TEST_CASE("decode_entry_list: of a SHA-256 and a BLAKE3 the latter counts, in either order") {
  const std::string sha256 = R"(,"hash":")" + std::string(64, '1') + "\"";
  const std::string blake3 = R"(,"blake3":")" + std::string(64, '2') + "\"";
  for (const std::string& more : {sha256 + blake3, blake3 + sha256, blake3}) {
    const auto hash = one(with(more)).hash;
    REQUIRE(hash.has_value());
    CHECK(hash->kind == HashKind::blake3);
    CHECK(to_text(*hash) == std::string(64, '2'));
  }
  CHECK(one(with(sha256)).hash->kind == HashKind::sha256);
}

TEST_CASE("decode_entry_list: at most 100 of the rejected are named") {
  std::string page = "[";
  for (int i = 0; i < 1000; ++i) page += "{\"path\":\"..\",\"size\":1,\"mtime\":1},";
  page += R"({"path":"good","size":1,"mtime":1}])";
  const Read out = read(page);
  CHECK(out.status.ok());
  CHECK(out.rejected.size() == 100);
  CHECK(out.entries.size() == 1);
}

TEST_CASE("decode_entry_list: a page cut at any byte is bad_request, and what came before counts") {
  EntryListWriter writer;
  writer.add({"a", 1, 2, 0644, ContentHash{}, {{*parse_short_id("ABCDEFGH"), 9}}, false});
  const std::size_t first_end = writer.size_bytes() - 1;
  writer.add({"b\xff", 0, 2, 0644, {}, {}, true});
  const std::string page = writer.take();
  for (std::size_t size = 0; size < page.size(); ++size) {
    CAPTURE(size);
    const Read out = read(page.substr(0, size));
    REQUIRE_FALSE(out.status.ok());
    CHECK(out.status.error().code == Code::bad_request);
    const std::size_t whole = (size >= first_end ? 1u : 0u) + (size == page.size() - 1 ? 1u : 0u);
    CHECK(out.entries.size() == whole);
  }
}

TEST_CASE("decode_entry_list: what is no list of objects is bad_request") {
  const std::string good = R"({"path":"a","size":1,"mtime":2})";
  for (const std::string& page :
       {std::string{""}, std::string{"{}"}, std::string{"5"}, std::string{"null"},
        std::string{"\"x\""}, good, "[" + good + ",[]]", "[" + good + ",[" + good + "]]",
        "[" + good + ",]", "[" + good + "]x", "[" + good + "][]",
        "[" + good + "]" + std::string(1, '\0'), "[" + good + "]" + std::string(1, '\0') + "[]",
        "[" + good + ",{\"path\":\"\xff\"}]", "[" + good + " " + good + "]"}) {
    CAPTURE(page);
    const Read out = read(page);
    REQUIRE_FALSE(out.status.ok());
    CHECK(out.status.error().code == Code::bad_request);
    CHECK(out.entries.size() <= 1);
  }
}

TEST_CASE("decode_entry_list: a scalar in an entry's place is rejected, its neighbours are taken") {
  const std::string good = R"({"path":"a","size":1,"mtime":2})";
  const Read out = read("[5," + good + ",null,\"x\"]");
  REQUIRE(out.status.ok());
  CHECK(out.entries.size() == 1);
  CHECK(out.rejected.size() == 3);
}

TEST_CASE("decode_entry_list: depth and huge texts end the page, not the process") {
  for (const std::string& bomb :
       {std::string(1u << 20, '['), "[" + with(",\"x\":" + std::string(1u << 20, '[')) + "]",
        [] {
          std::string objects = "[";
          for (int i = 0; i < 200000; ++i) objects += "{\"a\":";
          return objects;
        }(),
        "[{\"path\":\"" + std::string(4u << 20, 'x') + "\"}]",
        "[{\"" + std::string(4u << 20, 'x') + "\":1}]",
        "[{\"size\":" + std::string(1u << 20, '9') + "}]"}) {
    const Read out = read(bomb);
    REQUIRE_FALSE(out.status.ok());
    CHECK(out.status.error().code == Code::bad_request);
  }
  const auto nested = [](int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return "[" + with(",\"x\":" + std::string(count, '[') + std::string(count, ']')) + "]";
  };
  CHECK(read(nested(kMaxJsonDepth - 2)).status.ok());
  CHECK_FALSE(read(nested(kMaxJsonDepth - 1)).status.ok());
}

TEST_CASE("compress: what decompress gives is what was packed") {
  std::mt19937 random{7};
  for (const std::size_t size : {0u, 1u, 2u, 1000u, 65536u, 16777216u}) {
    CAPTURE(size);
    std::string raw(size, 'a');
    for (std::size_t i = 0; i < size; i += 1 + random() % 50) raw[i] = static_cast<char>(random());
    const std::string packed = compress(raw);
    const auto bytes = std::as_bytes(std::span{packed});
    const auto said = decompress(bytes, size);
    REQUIRE(said.ok());
    CHECK(said.value() == raw);
    const auto unsaid = decompress(bytes, 0);
    REQUIRE(unsaid.ok());
    CHECK(unsaid.value() == raw);
  }
}

TEST_CASE("decompress: a size that is not true, or over the limit, is refused") {
  const std::string packed = compress(std::string(5000, 'x'));
  const auto bytes = std::as_bytes(std::span{packed});
  const auto code = [&](std::uint64_t raw_size, std::uint64_t limit) {
    const auto out = decompress(bytes, raw_size, limit);
    REQUIRE_FALSE(out.ok());
    return out.error().code;
  };
  CHECK(code(4999, 16384) == Code::bad_request);
  CHECK(code(5001, 16384) == Code::bad_request);
  CHECK(code(16385, 16384) == Code::too_large);
  CHECK(code(std::numeric_limits<std::uint64_t>::max(), kMaxBlockLength) == Code::too_large);
  CHECK(code(0, 4999) == Code::too_large);
  for (std::size_t size = 1; size < packed.size(); ++size) {
    CHECK_FALSE(decompress(bytes.first(size), 5000).ok());
  }
}
