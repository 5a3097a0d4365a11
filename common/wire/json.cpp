#include "common/wire/json.h"

#include <fmt/core.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>

#include <algorithm>

#include "common/base/ids.h"
#include "common/wire/messages.h"

namespace lefting::wire {

namespace {

std::string_view view(const rapidjson::Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

/// How deep brackets are nested in what may be JSON.
int nesting(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

rapidjson::SizeType json_size(std::string_view text) {
  return static_cast<rapidjson::SizeType>(text.size());
}

}  // namespace

const char* hash_key(HashKind kind) { return kind == HashKind::sha256 ? "hash" : "blake3"; }

void put_key(JsonWriter& writer, std::string_view key) { writer.Key(key.data(), json_size(key)); }

void put_text(JsonWriter& writer, std::string_view key, std::string_view value) {
  put_key(writer, key);
  writer.String(value.data() == nullptr ? "" : value.data(), json_size(value));
}

void put_unsigned(JsonWriter& writer, std::string_view key, std::uint64_t value) {
  put_key(writer, key);
  writer.Uint64(value);
}

void put_signed(JsonWriter& writer, std::string_view key, std::int64_t value) {
  put_key(writer, key);
  writer.Int64(value);
}

void put_flag(JsonWriter& writer, std::string_view key, bool value) {
  put_key(writer, key);
  writer.Bool(value);
}

void put_path(JsonWriter& writer, std::string_view path) {
  if (is_utf8(path)) {
    put_text(writer, "path", path);
  } else {
    put_text(writer, "path64", to_base64(path));
  }
}

void put_hash(JsonWriter& writer, const ContentHash& hash) {
  put_text(writer, hash_key(hash.kind), to_text(hash));
}

std::string_view cut_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

std::string readable(std::string_view text, std::size_t max_bytes) {
  if (is_utf8(text)) return std::string{cut_text(text, max_bytes)};
  std::string out;
  for (const char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out;
}

std::optional<std::string> parse_header(std::string_view text, rapidjson::Document& into) {
  if (nesting(text) > kMaxJsonDepth) return "the header is nested too deep";
  rapidjson::MemoryStream stream{text.data(), text.size()};
  into.ParseStream<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(stream);
  if (into.HasParseError()) {
    return fmt::format("the header is no JSON at byte {}: {}", into.GetErrorOffset(),
                       rapidjson::GetParseError_En(into.GetParseError()));
  }
  // RapidJSON takes a NUL for the end.
  if (stream.Tell() != text.size()) return "the header goes on after its JSON";
  if (!into.IsObject()) return "the header is no JSON object";
  return std::nullopt;
}

const rapidjson::Value* Fields::find(const char* key) const {
  const auto member = object_.FindMember(key);
  if (member == object_.MemberEnd() || member->value.IsNull()) return nullptr;
  return &member->value;
}

std::optional<std::string_view> Fields::text(const char* key) {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  // An escaped lone surrogate gets past RapidJSON and is not UTF-8.
  if (!value->IsString() || !is_utf8(view(*value))) {
    wrong(key, "a text");
    return std::nullopt;
  }
  return view(*value);
}

std::optional<std::uint64_t> Fields::number(const char* key, std::uint64_t max) {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->IsUint64() || value->GetUint64() > max) {
    wrong(key, "an integer within its limits");
    return std::nullopt;
  }
  return value->GetUint64();
}

std::optional<std::int64_t> Fields::integer(const char* key) {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->IsInt64()) {
    wrong(key, "an integer");
    return std::nullopt;
  }
  return value->GetInt64();
}

bool Fields::flag(const char* key) {
  const auto* value = find(key);
  if (value == nullptr) return false;
  if (!value->IsBool()) wrong(key, "true or false");
  return value->IsTrue();
}

bool Fields::lists(const char* key, std::string_view value) {
  const auto* list = array(key);
  if (list == nullptr) return false;
  return std::any_of(list->Begin(), list->End(), [&](const rapidjson::Value& item) {
    return item.IsString() && view(item) == value;
  });
}

const rapidjson::Value* Fields::object(const char* key) {
  const auto* value = find(key);
  if (value == nullptr || value->IsObject()) return value;
  wrong(key, "an object");
  return nullptr;
}

const rapidjson::Value* Fields::array(const char* key) {
  const auto* value = find(key);
  if (value == nullptr || value->IsArray()) return value;
  wrong(key, "a list");
  return nullptr;
}

std::optional<std::string> Fields::path() {
  const auto plain = text("path");
  const auto packed = parsed("path64", "base64", from_base64);
  if (plain && packed) fail(Code::bad_request, "path64 stands beside path, not instead of it");
  if (plain) return std::string{*plain};
  return packed;
}

std::optional<ContentHash> Fields::hash() {
  std::optional<ContentHash> found;
  for (const HashKind kind : {HashKind::sha256, HashKind::blake3}) {
    const auto parse = [&](std::string_view text) { return parse_content_hash(text, kind); };
    const auto one = parsed(hash_key(kind), kHashForm, parse);
    if (one) found = one;
  }
  return found;
}

void Fields::missing(const char* key) {
  fail(Code::bad_request, fmt::format("{} is missing", key));
}

void Fields::wrong(const char* key, const char* what) {
  fail(Code::bad_request, fmt::format("{} is not {}", key, what));
}

void Fields::fail(Code code, std::string message) {
  if (!failure_) failure_ = Failure{code, std::move(message)};
}

}  // namespace lefting::wire
