#pragma once

// Included by the .cpp files of this room only: nobody else needs RapidJSON.

#include <rapidjson/document.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/content_hash.h"
#include "common/wire/error.h"

namespace lefting::wire {

/// Lets RapidJSON write into a string of ours.
class TextSink {
 public:
  using Ch = char;
  explicit TextSink(std::string& text) : text_{text} {}
  void Put(char c) { text_.push_back(c); }
  void Flush() {}

 private:
  std::string& text_;
};

using JsonWriter = rapidjson::Writer<TextSink>;

/// The field that a hash of that kind stands in, and what it must be.
const char* hash_key(HashKind kind);
inline constexpr const char* kHashForm = "64 lower-case hex digits";

/// The values must be UTF-8.
void put_key(JsonWriter& writer, std::string_view key);
void put_text(JsonWriter& writer, std::string_view key, std::string_view value);
void put_unsigned(JsonWriter& writer, std::string_view key, std::uint64_t value);
void put_signed(JsonWriter& writer, std::string_view key, std::int64_t value);
void put_flag(JsonWriter& writer, std::string_view key, bool value);
/// `path`, or `path64` where its bytes are not UTF-8.
void put_path(JsonWriter& writer, std::string_view path);
void put_hash(JsonWriter& writer, const ContentHash& hash);

/// `text` for people, as UTF-8: what isn't comes as \xNN. At most `max_bytes` of the original.
std::string readable(std::string_view text, std::size_t max_bytes);
/// The front of UTF-8 `text`, at most `max_bytes`, not cut within a character.
std::string_view cut_text(std::string_view text, std::size_t max_bytes);

/// Reads a header. Returns why it is not exactly one JSON object of bounded depth; nothing if it
/// is.
std::optional<std::string> parse_header(std::string_view text, rapidjson::Document& into);

/// The fields of one JSON object, read one by one; the first thing that is wrong is kept, so that
/// a reader takes all its fields and looks for the failure once. A field that is null is absent.
class Fields {
 public:
  struct Failure {
    Code code;
    std::string message;
  };

  explicit Fields(const rapidjson::Value& object) : object_{object} {}

  std::optional<std::string_view> text(const char* key);
  std::optional<std::uint64_t> number(
      const char* key, std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
  std::optional<std::int64_t> integer(const char* key);
  bool flag(const char* key);
  /// True if the list `key` has the text `value`.
  bool lists(const char* key, std::string_view value);
  /// An object of its own, or nothing.
  const rapidjson::Value* object(const char* key);
  const rapidjson::Value* array(const char* key);
  /// `path` or `path64`, not checked with path_fault yet.
  std::optional<std::string> path();
  /// `hash` or `blake3`; the latter where both are there.
  std::optional<ContentHash> hash();
  /// A text that `parse` (text → optional) understands.
  template <class Parse>
  auto parsed(const char* key, const char* what, Parse&& parse) -> decltype(parse({})) {
    const auto found = text(key);
    if (!found) return {};
    auto value = parse(*found);
    if (!value) wrong(key, what);
    return value;
  }

  /// `key` is not `what`.
  void wrong(const char* key, const char* what);
  void missing(const char* key);
  void fail(Code code, std::string message);
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  const rapidjson::Value* find(const char* key) const;

  const rapidjson::Value& object_;
  std::optional<Failure> failure_;
};

}  // namespace lefting::wire
