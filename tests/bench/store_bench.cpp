// What the store costs: rows a second in batches, one-row transactions, shard loads.
//
//   store_bench [FILES]    default 200,000, paths of 60 bytes
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/base/shard.h"
#include "common/store/store.h"

namespace {

using namespace lefting;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Record record_of(std::size_t i) {
  Record record;
  record.entry.path = fmt::format("folder{:05}/a-file-name-of-some-length-{:024}", i / 100, i);
  record.entry.size = i;
  record.entry.mtime_ns = static_cast<std::int64_t>(i);
  record.entry.hash.emplace();
  record.entry.version = {{*parse_short_id("ABCDEFGH"), i + 1}};
  return record;
}

void put_all(store::Store& store, std::size_t files, std::size_t batch) {
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < files; i += batch) {
    store::Transaction transaction{store};
    for (std::size_t k = i; k < std::min(files, i + batch); ++k) {
      Record record = record_of(k);
      transaction.put_record(record, 0);
    }
    transaction.commit();
  }
  fmt::print("{} rows in batches of {}: {:.0f} k/s\n", files, batch,
             static_cast<double>(files) / seconds_since(begin) / 1000);
}

void tickets(store::Store& store, std::size_t count, std::size_t batch) {
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; i += batch) {
    store::Transaction transaction{store};
    for (std::size_t k = i; k < i + batch; ++k) {
      Ticket ticket;
      ticket.wanted = record_of(k).entry;
      transaction.add_ticket(ticket);
    }
    transaction.commit();
  }
  fmt::print("{} tickets in batches of {}: {:.0f} k/s\n", count, batch,
             static_cast<double>(count) / seconds_since(begin) / 1000);
}

void load_all(store::Store& store) {
  const auto begin = Clock::now();
  std::size_t rows = 0;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    store.for_each_in_shard(shard, [&](const Record&) { ++rows; });
  }
  fmt::print("{} rows loaded: {:.2f} s\n", rows, seconds_since(begin));
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t files = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("lefting-store-bench-{}", ::getpid());
  std::filesystem::create_directory(folder);
  {
    store::Store store{folder / "store.db"};
    put_all(store, files, 256);
    tickets(store, 20'480, 1024);
    load_all(store);
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < 2000; ++i) {
      Record record = record_of(files + i);
      store::Transaction transaction{store};
      transaction.put_record(record, 0);
      transaction.commit();
    }
    fmt::print("one-row transactions: {:.0f} µs\n", seconds_since(begin) / 2000 * 1e6);
    fmt::print("{} bytes a row\n", std::filesystem::file_size(folder / "store.db") / files);
  }
  std::filesystem::remove_all(folder);
}
