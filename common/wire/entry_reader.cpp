#include "common/wire/entry_reader.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace lefting::wire {

namespace {

constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxMode = 0777;
constexpr std::size_t kMaxDevices = 256;
/// Brackets around an entry's fields: the list and the entry.
constexpr int kDepthOfList = 1;

std::optional<std::uint64_t> up_to(std::uint64_t max, const EntryBuilder::Scalar& value) {
  const auto* number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr || *number > max) return std::nullopt;
  return *number;
}

}  // namespace

void EntryBuilder::fault(std::string_view what) {
  if (fault_.empty()) fault_ = what;
}

void EntryBuilder::begin_field(std::string_view key) {
  struct Name {
    std::string_view key;
    Field field;
  };
  static constexpr Name kNames[] = {
      {"path", Field::path},       {"size", Field::size},     {"mtime", Field::mtime},
      {"hash", Field::sha256},     {"mode", Field::mode},     {"version", Field::version},
      {"deleted", Field::deleted}, {"path64", Field::path64}, {"blake3", Field::blake3},
  };
  const auto* name = std::find_if(std::begin(kNames), std::end(kNames),
                                  [&](const Name& known) { return known.key == key; });
  field_ = name == std::end(kNames) ? Field::unknown : name->field;
}

void EntryBuilder::set_field(const Scalar& value) {
  if (std::holds_alternative<std::monostate>(value)) return;  // null is absent
  switch (field_) {
    case Field::unknown:
      return;
    case Field::path:
    case Field::path64:
    case Field::sha256:
    case Field::blake3:
      if (const auto* text = std::get_if<std::string_view>(&value)) return set_text(*text);
      return fault("path, path64, hash or blake3 is not a text");
    case Field::size:
      return set_size(value);
    case Field::mtime:
      return set_mtime(value);
    case Field::mode:
      return set_mode(value);
    case Field::version:
      return fault("version is not an object");
    case Field::deleted:
      return set_deleted(value);
  }
}

void EntryBuilder::set_text(std::string_view text) {
  if (field_ == Field::sha256) return set_hash(text, HashKind::sha256);
  if (field_ == Field::blake3) return set_hash(text, HashKind::blake3);
  if (has_path_) return fault("there is more than one path");
  has_path_ = true;
  if (field_ == Field::path64) {
    auto bytes = from_base64(text);
    if (!bytes) return fault("path64 is not base64");
    entry_.path = std::move(*bytes);
  } else {
    entry_.path = text;
    // An escaped lone surrogate gets past RapidJSON and is not UTF-8.
    if (!is_utf8(text)) fault("the path is not UTF-8; path64 would be for that");
  }
}

void EntryBuilder::set_hash(std::string_view text, HashKind kind) {
  const auto hash = parse_content_hash(text, kind);
  if (!hash) return fault(std::string{hash_key(kind)} + " is not " + kHashForm);
  if (!entry_.hash || kind == HashKind::blake3) entry_.hash = hash;
}

void EntryBuilder::set_size(const Scalar& value) {
  const auto size = up_to(kMaxSize, value);
  if (!size) return fault("size is not an integer from 0 to 2^63-1");
  entry_.size = *size;
  has_size_ = true;
}

void EntryBuilder::set_mtime(const Scalar& value) {
  if (const auto* before_1970 = std::get_if<std::int64_t>(&value)) {
    entry_.mtime_ns = *before_1970;
  } else if (const auto mtime = up_to(std::numeric_limits<std::int64_t>::max(), value)) {
    entry_.mtime_ns = static_cast<std::int64_t>(*mtime);
  } else {
    return fault("mtime is not an integer of 64 bits");
  }
  has_mtime_ = true;
}

void EntryBuilder::set_mode(const Scalar& value) {
  const auto mode = up_to(kMaxMode, value);
  if (!mode) return fault("mode is not an integer from 0 to 511");
  entry_.mode = static_cast<std::uint32_t>(*mode);
}

void EntryBuilder::set_deleted(const Scalar& value) {
  const auto* deleted = std::get_if<bool>(&value);
  if (deleted == nullptr) return fault("deleted is not true");
  entry_.deleted = *deleted;
}

bool EntryBuilder::open_field(bool object) {
  if (field_ == Field::unknown) return false;
  if (field_ == Field::version && object) {
    entry_.version.clear();
    return true;
  }
  fault("a field is a list or an object that must be neither");
  return false;
}

void EntryBuilder::begin_counter(std::string_view device) {
  const auto id = parse_short_id(device);
  if (!id) fault("version names a device by other than 8 characters A-Z, 2-7");
  device_ = id.value_or(ShortId{});
}

void EntryBuilder::set_counter(const Scalar& value) {
  const auto counter = up_to(kMaxCounter, value);
  if (!counter || *counter == 0) return fault("a counter is not an integer from 1 to 2^53-1");
  if (entry_.version.size() >= kMaxDevices) return fault("version has more than 256 devices");
  entry_.version.push_back({device_, *counter});
}

void EntryBuilder::check_whole() {
  if (!has_path_) return fault("path is missing");
  if (!has_size_) fault("size is missing");
  if (!has_mtime_) fault("mtime is missing");
  if (entry_.deleted && entry_.size != 0) fault("it is deleted, yet its size is not 0");
  if (const auto wrong = path_fault(entry_.path)) fault(*wrong);
  auto& version = entry_.version;
  std::sort(version.begin(), version.end());
  const auto same_device = [](const VersionCounter& a, const VersionCounter& b) {
    return a.device == b.device;
  };
  if (std::adjacent_find(version.begin(), version.end(), same_device) != version.end()) {
    fault("version names a device twice");
  }
}

std::variant<Entry, Rejected> EntryBuilder::finish() {
  check_whole();
  EntryBuilder done = std::exchange(*this, EntryBuilder{});
  if (done.fault_.empty()) return std::move(done.entry_);
  return Rejected{readable(done.entry_.path, kMaxRejectedPathBytes), std::move(done.fault_)};
}

bool EntryReader::Key(const char* text, rapidjson::SizeType size, bool) {
  if (depth_ == 1) builder_.begin_field({text, size});
  if (depth_ == 2 && in_version_) builder_.begin_counter({text, size});
  return true;
}

bool EntryReader::StartArray() {
  if (in_list_) return depth_ == 0 ? false : open(false);
  in_list_ = true;
  return true;
}

bool EntryReader::EndArray(rapidjson::SizeType) {
  return depth_ == 0 ? true : close();  // at 0 it is the list that ends
}

bool EntryReader::scalar(const EntryBuilder::Scalar& value) {
  if (depth_ == 0) {
    if (in_list_) take_(Rejected{"", "an entry must be an object"});
    return in_list_;
  }
  if (depth_ == 1) builder_.set_field(value);
  if (depth_ == 2 && in_version_) builder_.set_counter(value);
  return true;
}

bool EntryReader::open(bool object) {
  if (!in_list_ || ++depth_ + kDepthOfList > kMaxJsonDepth) return false;
  if (depth_ == 2) in_version_ = builder_.open_field(object);
  // A counter that is a list or an object is as wrong as one that is a text.
  if (depth_ == 3 && in_version_) builder_.set_counter(EntryBuilder::Other{});
  return true;
}

bool EntryReader::close() {
  if (--depth_ == 1) in_version_ = false;
  if (depth_ == 0) take_(builder_.finish());
  return true;
}

}  // namespace lefting::wire
