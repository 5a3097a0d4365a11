#include "common/sync/copy.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <string_view>

#include "common/base/ids.h"
#include "common/share/path.h"
#include "common/sync/version.h"

namespace lefting::sync {

namespace {

/// Cuts UTF-8 at a character's edge where it can.
std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && end > most - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

/// Who makes a copy is its content: so all make the same version, and copies of two contents that
/// one device has made are never one on top of the other.
ShortId content_writer(const ContentHash& hash) { return short_id(DeviceId{hash.bytes}); }

}  // namespace

std::string conflict_name(const Entry& loser, bool distinct) {
  const auto slash = loser.path.rfind('/');
  const std::string name = slash == loser.path.npos ? loser.path : loser.path.substr(slash + 1);
  auto dot = name.rfind('.');
  if (dot == name.npos || dot == 0) dot = name.size();  // ".profile" is all stem
  const std::string extension{cut(std::string_view{name}.substr(dot), 64)};

  std::int64_t seconds = loser.mtime_ns / 1'000'000'000;
  if (loser.mtime_ns % 1'000'000'000 < 0) --seconds;
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  std::string middle = fmt::format(".conflict-{:04}{:02}{:02}-{:02}{:02}{:02}-{}",
                                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                                   utc.tm_min, utc.tm_sec, to_text(stamp(loser.version).device));
  if (distinct && loser.hash) middle += "-" + to_text(*loser.hash).substr(0, 12);
  const std::size_t room = 255 - middle.size() - extension.size();
  return std::string{cut(std::string_view{name}.substr(0, dot), room)} + middle + extension;
}

std::string conflict_path(const Entry& loser, bool distinct) {
  const auto folder = share::split_path(loser.path).folder;
  return share::join_path(folder, conflict_name(loser, distinct));
}

std::optional<CopyPath> parse_conflict_path(std::string_view path) {
  constexpr std::string_view kMark = ".conflict-";
  constexpr std::string_view kForm = "dddddddd-dddddd-";
  constexpr std::size_t kDevice = 8;
  const auto [folder, name] = share::split_path(path);
  const auto at = name.rfind(kMark);
  if (at == name.npos) return std::nullopt;
  std::string_view rest = name.substr(at + kMark.size());
  if (rest.size() < kForm.size() + kDevice) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = rest[i] >= '0' && rest[i] <= '9';
    if (kForm[i] == 'd' ? !is_digit : rest[i] != '-') return std::nullopt;
  }
  const auto device = parse_short_id(rest.substr(kForm.size(), kDevice));
  if (!device) return std::nullopt;
  rest.remove_prefix(kForm.size() + kDevice);
  if (rest.starts_with('-')) rest.remove_prefix(std::min(rest.find('.'), rest.size()));
  if (!rest.empty() && rest[0] != '.') return std::nullopt;
  const std::string original = std::string{name.substr(0, at)} + std::string{rest};
  return CopyPath{share::join_path(folder, original), *device};
}

Copy plan_copy(const Entry& loser, const std::string& path, const Record* record) {
  const Stamp made{stamp(loser.version).counter,
                   content_writer(loser.hash.value_or(ContentHash{}))};
  Copy copy{.need = CopyNeed::make, .entry = loser};
  copy.entry.path = path;
  copy.entry.version = {{made.device, made.counter}};
  if (record == nullptr) return copy;
  if (covers(record->entry.version, made)) return {};
  if (!record->entry.deleted) {
    return {record->entry.hash == loser.hash ? CopyNeed::none : CopyNeed::taken, {}};
  }
  // On top of the tombstone, which was of other content: else both would have one stamp.
  copy.entry.version = bump(merge(record->entry.version, copy.entry.version), made.device, 0);
  copy.base = record->sequence;
  return copy;
}

}  // namespace lefting::sync
