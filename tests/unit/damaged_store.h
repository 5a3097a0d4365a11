#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/os.h"
#include "common/base/shard.h"
#include "common/store/check.h"
#include "common/store/store.h"
#include "tests/unit/records.h"
#include "tests/unit/run_sql.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

inline constexpr int kRecords = 150;
inline constexpr std::size_t kPageBytes = 4096;

inline void fill(store::Store& store) {
  store::Transaction transaction{store};
  for (int i = 0; i < kRecords; ++i) {
    Record record;
    const std::string path = "folder/file " + std::to_string(i);
    const VersionVector version = {{device('A'), 5}, {device('B'), 9}};
    record.entry = i % 9 == 0 ? tombstone(path, version) : entry(path, i % 99, version);
    transaction.put_record(record, 0);
    if (i % 3 != 0) continue;
    Ticket ticket;
    ticket.wanted = record.entry;
    ticket.sources = 3;
    transaction.add_ticket(ticket);
  }
  for (int i = 0; i < 3; ++i) {
    Peer peer;
    peer.device.emplace();
    peer.device->bytes.fill(static_cast<std::uint8_t>(i));
    peer.address = "host:" + std::to_string(i);
    peer.told = 7;
    peer.seen = 8;
    peer.index = 9;
    transaction.put_peer(peer);
  }
  transaction.commit();
}

/// A store on which an instance was started, as it lies there after a stop.
inline std::string make_store(const TempFolder& folder) {
  const std::string path = folder / "good.db";
  store::Store store{path};
  store.set_writer(device('A'), false);
  store.note_share();
  fill(store);  // before: so that its sequences begin at 1
  store.begin_instance();
  return path;
}

/// All that a store has, read as the programs read it.
struct Content {
  std::vector<Record> records;
  std::vector<Record> changes;
  std::vector<Ticket> tickets;
  std::vector<Peer> peers;
  bool operator==(const Content&) const = default;
};

inline Content read_all(const std::string& path) {
  Content out;
  store::Store store{path};
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    store.for_each_in_shard(shard, [&](const Record& record) { out.records.push_back(record); });
  }
  store.changes_after(0, SIZE_MAX >> 1,
                      [&](const Record& record) { out.changes.push_back(record); });
  store.for_each_ticket([&](const Ticket& ticket) { out.tickets.push_back(ticket); });
  out.peers = store.peers();
  store.index_id();
  store.writer();
  store.count();
  store.last_sequence();
  const store::Transaction transaction{store};
  return out;
}

/// As `start` and then the roles: what they say, or what they read.
struct Outcome {
  std::string fault;
  Content content;
};

inline Outcome use(const std::string& path) {
  Outcome out;
  try {
    store::check_store(path);
    out.content = read_all(path);
  } catch (const store::StoreError& error) {
    CHECK(error.permanent);
    out.fault = error.what();
    CHECK(out.fault.find("--rebuild") != std::string::npos);
    CHECK(out.fault.find('\n') == std::string::npos);
  }
  return out;
}

inline std::string bytes_of(const std::string& path) { return read_file(path).take(); }

inline void write_bytes(const std::string& path, const std::string& bytes) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  std::ofstream{path, std::ios::binary} << bytes;
}

inline std::string refusal(const std::string& path) {
  const Outcome outcome = use(path);
  return outcome.fault;
}

inline bool says(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace lefting::test
