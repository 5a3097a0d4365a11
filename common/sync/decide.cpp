#include "common/sync/decide.h"

#include <fmt/core.h>

#include <ctime>

#include "common/base/ids.h"
#include "common/sync/version.h"

namespace lefting::sync {

namespace {

bool same_content(const Entry& a, const Entry& b) {
  if (a.deleted || b.deleted) return a.deleted && b.deleted;
  return a.hash && b.hash && *a.hash == *b.hash;
}

Decision taken(Verdict verdict, const Entry& from, VersionVector version) {
  Decision decision{verdict, from};
  decision.result.version = std::move(version);
  return decision;
}

/// Where one side has no version: times decide.
Decision decide_by_time(const Entry& ours, const Entry& theirs, ShortId self,
                        std::uint64_t now_ms) {
  const bool alike = !ours.deleted && !theirs.deleted && ours.size == theirs.size &&
                     ours.mtime_ns == theirs.mtime_ns;
  if (alike || same_content(ours, theirs)) return {};
  if (theirs.mtime_ns < ours.mtime_ns) return {Verdict::ours_newer, {}};
  const VersionVector next = bump(
      theirs.version.empty() ? ours.version : merge(ours.version, theirs.version), self, now_ms);
  if (theirs.mtime_ns > ours.mtime_ns) return taken(Verdict::take, theirs, next);
  if (theirs.size > ours.size) return taken(Verdict::lose, theirs, next);
  return {Verdict::ours_newer, {}};
}

bool theirs_wins(const Entry& ours, const Entry& theirs) {
  const Stamp our_stamp = stamp(ours.version);
  const Stamp their_stamp = stamp(theirs.version);
  if (our_stamp != their_stamp) return their_stamp > our_stamp;
  // One device never makes one counter twice; should it have, every peer still decides alike.
  return theirs.hash.value_or(Sha256{}) > ours.hash.value_or(Sha256{});
}

Decision decide_concurrent(const Entry& ours, const Entry& theirs) {
  const VersionVector merged = merge(ours.version, theirs.version);
  const bool wins = theirs_wins(ours, theirs);
  if (same_content(ours, theirs)) return taken(Verdict::merge, wins ? theirs : ours, merged);
  // The winner's side leaves its vector alone. Would it merge theirs, its entry would look newer
  // than the loser, and the loser's side would take it without keeping what it had.
  return wins ? taken(Verdict::lose, theirs, merged) : Decision{Verdict::ours_newer, {}};
}

/// Cuts UTF-8 at a character's edge where it can.
std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && end > most - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

Decision decide(const Entry* ours, const Entry& theirs, ShortId self, std::uint64_t now_ms) {
  if (ours == nullptr) {
    if (!theirs.version.empty()) return {Verdict::take, theirs};
    if (theirs.deleted) return {};  // nothing here, and nobody's version to remember
    return taken(Verdict::take, theirs, bump({}, self, now_ms));
  }
  if (ours->version.empty() || theirs.version.empty()) {
    return decide_by_time(*ours, theirs, self, now_ms);
  }
  switch (compare(theirs.version, ours->version)) {
    case Order::equal:
      return {};
    case Order::older:
      return {Verdict::ours_newer, {}};
    case Order::newer:
      return {same_content(*ours, theirs) ? Verdict::merge : Verdict::take, theirs};
    case Order::concurrent:
      break;
  }
  return decide_concurrent(*ours, theirs);
}

bool supersedes(const Entry& candidate, const Entry& wish) {
  if (candidate.version.empty() || wish.version.empty()) {
    if (candidate.mtime_ns != wish.mtime_ns) return candidate.mtime_ns > wish.mtime_ns;
    return candidate.size > wish.size;
  }
  switch (compare(candidate.version, wish.version)) {
    case Order::newer:
      return true;
    case Order::equal:
    case Order::older:
      return false;
    case Order::concurrent:
      break;
  }
  return theirs_wins(wish, candidate);
}

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

}  // namespace lefting::sync
