#include "tests/fault/torture/instance_check.h"

#include <map>

#include "common/base/log.h"
#include "common/base/shard.h"
#include "common/share/hash.h"
#include "common/share/traverse.h"

namespace lefting::test {

namespace {

using Records = std::map<std::string, Record>;

Records records_in_segment(supervisor::View& view) {
  Records records;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    view.attached()->dictionary.for_each(
        shard, [&](const Record& record) { records.emplace(record.entry.path, record); });
  }
  return records;
}

Records live_records_in_store(supervisor::View& view) {
  Records records;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    view.store().for_each_in_shard(shard, [&](const Record& record) {
      if (!record.entry.deleted) records.emplace(record.entry.path, record);
    });
  }
  return records;
}

std::string difference_in_file(const share::Share& share, const share::FileStat& stat,
                               const Record& record) {
  const std::string& path = record.entry.path;
  if (!share::is_unchanged(stat, record)) return path + ": the record is not of this file";
  if (stat.mode != record.entry.mode) return path + ": another mode is recorded";
  auto fd = share.open_file(path);
  if (!fd) return fd.error().text();
  const auto hashes = share::hash_file(fd.value().get(), HashKinds::both(), [] { return true; });
  if (!hashes || !hashes.value().has(record.entry.hash))
    return path + ": another content is recorded";
  return "";
}

std::string difference_in_share(const std::string& folder, const Records& records) {
  const auto share = share::Share::open(folder);
  if (!share) return share.error().text();
  std::string found;
  std::size_t files = 0;
  share::Visitor visitor;
  visitor.trouble = [&](const Error& error, const std::string&) { found = error.text(); };
  visitor.partial = [&](const std::string& path) { found = path + " is left over"; };
  visitor.file = [&](const std::string& path, const share::FileStat& stat) {
    ++files;
    const auto record = records.find(path);
    found = record == records.end() ? path + " is not recorded"
                                    : difference_in_file(share.value(), stat, record->second);
    return found.empty();
  };
  share::traverse(share.value(), "", visitor);
  if (!found.empty()) return found;
  return files == records.size() ? "" : "a record has no file";
}

}  // namespace

std::string difference(supervisor::View& view, const std::string& share) {
  const Records segment = records_in_segment(view);
  const Records store = live_records_in_store(view);
  for (const auto& [path, record] : store) {
    const auto there = segment.find(path);
    if (there == segment.end()) return path + " is in the store, and not in the segment";
    if (there->second != record) return path + ": segment and store differ";
    if (view.attached()->dictionary.find(path) != record) return path + " is not found";
  }
  if (segment.size() != store.size()) return "the segment has more than the store";
  const auto tickets = view.attached()->tickets.list();
  if (!tickets.empty()) return tickets[0].ticket.wanted.path + " has a ticket in the segment";
  std::string left;
  view.store().for_each_ticket([&](const Ticket& ticket) { left = ticket.wanted.path; });
  if (!left.empty()) return left + " has a ticket in the store";
  const auto totals = view.attached()->dictionary.totals();
  if (totals.files != store.size()) return "the totals don't fit the records";
  return difference_in_share(share, store);
}

}  // namespace lefting::test
