#pragma once

// For the .cpp files of this room.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/entry.h"
#include "common/wire/json.h"
#include "common/wire/messages.h"

namespace lefting::wire {

inline constexpr std::size_t kMaxRejectedPathBytes = 4096;

void put_entry(JsonWriter& writer, const Entry& entry);
/// Errors: bad_request; the advice says what is wrong with it.
Result<Entry> read_entry(const rapidjson::Value& object);

/// Builds one entry from its fields, as they come; the first thing wrong with it is kept.
class EntryBuilder {
 public:
  /// A JSON value that is neither list nor object. Numbers other than integers are `Other`.
  struct Other {};
  using Scalar =
      std::variant<std::monostate, bool, std::uint64_t, std::int64_t, std::string_view, Other>;

  void begin_field(std::string_view key);
  void set_field(const Scalar& value);
  /// The field is a list or an object. True if it is the version's: its counters come next.
  bool open_field(bool object);
  void begin_counter(std::string_view device);
  void set_counter(const Scalar& value);

  /// Ends the entry: it, or what is wrong with it. The builder is as new.
  std::variant<Entry, Rejected> finish();

 private:
  enum class Field { unknown, path, path64, size, mtime, sha256, blake3, mode, version, deleted };

  void set_text(std::string_view text);
  void set_hash(std::string_view text, HashKind kind);
  void set_size(const Scalar& value);
  void set_mtime(const Scalar& value);
  void set_mode(const Scalar& value);
  void set_deleted(const Scalar& value);
  void check_whole();
  void fault(std::string_view what);

  Entry entry_;
  Field field_ = Field::unknown;
  ShortId device_;
  bool has_path_ = false;
  bool has_size_ = false;
  bool has_mtime_ = false;
  std::string fault_;
};

/// RapidJSON's handler for a list of entries, or for one alone. A callback that returns false ends
/// the parse: the text is no list of objects, or is nested too deep.
class EntryReader {
 public:
  using Take = std::function<void(std::variant<Entry, Rejected>&&)>;

  /// `in_list`  true where the `[` is not among what will be read.
  EntryReader(const Take& take, bool in_list) : take_{take}, in_list_{in_list} {}

  bool Null() { return scalar({}); }
  bool Bool(bool value) { return scalar(value); }
  bool Int(int value) { return Int64(value); }
  bool Uint(unsigned value) { return Uint64(value); }
  bool Int64(std::int64_t value) {
    return value < 0 ? scalar(value) : scalar(static_cast<std::uint64_t>(value));
  }
  bool Uint64(std::uint64_t value) { return scalar(value); }
  bool Double(double) { return scalar(EntryBuilder::Other{}); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return scalar(EntryBuilder::Other{}); }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return scalar(std::string_view{text, size});
  }
  bool Key(const char* text, rapidjson::SizeType size, bool);
  bool StartObject() { return open(true); }
  bool EndObject(rapidjson::SizeType) { return close(); }
  bool StartArray();
  bool EndArray(rapidjson::SizeType);

 private:
  bool scalar(const EntryBuilder::Scalar& value);
  bool open(bool object);
  bool close();

  const Take& take_;
  bool in_list_;
  int depth_ = 0;            ///< 1 within an entry, more within its fields
  bool in_version_ = false;  ///< at depth 2
  EntryBuilder builder_;
};

}  // namespace lefting::wire
