#include "common/wire/entry_list.h"

#include <fmt/core.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cstdlib>
#include <utility>

#include "common/wire/entry_reader.h"

namespace lefting::wire {

namespace {

/// Thrown by BoundedMemory and caught in decode_entry_list: RapidJSON has no other way to be told.
struct TextTooLong {};

/// Memory for the one text that the parser holds; without a bound, a page that is a single text
/// would be in memory two times.
class BoundedMemory {
 public:
  static const bool kNeedFree = true;
  void* Malloc(std::size_t size) { return Realloc(nullptr, 0, size); }
  void* Realloc(void* old, std::size_t, std::size_t size) {
    if (size > kMaxBytes) throw TextTooLong{};
    if (size == 0) {
      std::free(old);
      return nullptr;
    }
    void* grown = std::realloc(old, size);
    if (grown == nullptr) throw std::bad_alloc{};
    return grown;
  }
  static void Free(void* memory) { std::free(memory); }

 private:
  static constexpr std::size_t kMaxBytes = 1u << 20;
};

Error bad_list(std::string why) {
  return {make_error_code(Code::bad_request), "read the list", {}, std::move(why)};
}

}  // namespace

void put_entry(JsonWriter& writer, const Entry& entry) {
  writer.StartObject();
  put_path(writer, entry.path);
  put_unsigned(writer, "size", entry.size);
  put_signed(writer, "mtime", entry.mtime_ns);
  put_unsigned(writer, "mode", entry.mode);
  if (entry.hash) put_hash(writer, *entry.hash);
  if (!entry.version.empty()) {
    put_key(writer, "version");
    writer.StartObject();
    for (const VersionCounter& one : entry.version) {
      put_unsigned(writer, to_text(one.device), one.counter);
    }
    writer.EndObject();
  }
  if (entry.deleted) put_flag(writer, "deleted", true);
  writer.EndObject();
}

void EntryListWriter::add(const Entry& entry) {
  if (count_++ > 0) text_ += ',';
  TextSink sink{text_};
  JsonWriter writer{sink};
  put_entry(writer, entry);
}

std::string EntryListWriter::take() {
  std::string page = std::move(text_);
  page += ']';
  text_.assign(1, '[');
  count_ = 0;
  return page;
}

std::string encode_entry(const Entry& entry) {
  std::string text;
  TextSink sink{text};
  JsonWriter writer{sink};
  put_entry(writer, entry);
  return text;
}

Result<Entry> read_entry(const rapidjson::Value& object) {
  std::variant<Entry, Rejected> outcome = Rejected{{}, "it is nested too deep"};
  const EntryReader::Take take = [&](std::variant<Entry, Rejected>&& read) {
    outcome = std::move(read);
  };
  EntryReader reader{take, true};
  object.Accept(reader);
  if (auto* entry = std::get_if<Entry>(&outcome)) return std::move(*entry);
  return Error{
      make_error_code(Code::bad_request), "read the entry", {}, std::get<Rejected>(outcome).error};
}

Status decode_entry_list(std::string_view page, const std::function<void(Entry&&)>& emit,
                         std::vector<Rejected>& rejected) {
  const EntryReader::Take take = [&](std::variant<Entry, Rejected>&& read) {
    if (auto* entry = std::get_if<Entry>(&read)) return emit(std::move(*entry));
    if (rejected.size() < kMaxRejected) rejected.push_back(std::get<Rejected>(std::move(read)));
  };
  EntryReader handler{take, false};
  rapidjson::MemoryStream stream{page.data(), page.size()};
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, BoundedMemory> parser;
  try {
    constexpr unsigned kFlags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    const auto result = parser.Parse<kFlags>(stream, handler);
    if (result.Code() == rapidjson::kParseErrorTermination) {
      return bad_list("it is no list of objects, or nested too deep");
    }
    if (result.IsError()) {
      return bad_list(fmt::format("no JSON at byte {}: {}", result.Offset(),
                                  rapidjson::GetParseError_En(result.Code())));
    }
  } catch (const TextTooLong&) {
    return bad_list("a text in it is far too long");
  }
  // RapidJSON takes a NUL for the end.
  if (stream.Tell() != page.size()) return bad_list("it goes on after its end");
  return {};
}

}  // namespace lefting::wire
