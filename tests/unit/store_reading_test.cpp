// A store that is only read: nothing is made or changed, and what is read is whole.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "common/base/os.h"
#include "common/base/shard.h"
#include "common/store/store.h"
#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using store::Access;
using store::Store;
using store::StoreError;
using store::Transaction;

namespace {

void put(Store& store, const std::string& path, bool deleted = false) {
  Record record;
  record.entry = test::entry(path, 1, {{test::device('A'), 5}});
  record.entry.deleted = deleted;
  const auto before = store.find(path);
  Transaction transaction{store};
  const bool written = transaction.put_record(record, before ? before->sequence : 0);
  CHECK(written);
  transaction.commit();
}

/// Name → content of the folder's files.
std::map<std::string, std::string> files_in(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& item : std::filesystem::directory_iterator{folder}) {
    auto content = read_file(item.path());
    out[item.path().filename()] = content ? content.take() : std::string{};
  }
  return out;
}

/// Makes the store with a record, dies while it is open.
void die_with(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    Store store{path};
    put(store, "a");
    ::raise(SIGKILL);
  }
  retry_eintr([&] { return ::waitpid(child, nullptr, 0); });
}

}  // namespace

TEST_CASE("store: a look at one that is closed, or whose programs were killed, changes no file") {
  for (const bool killed : {false, true}) {
    CAPTURE(killed);
    const test::TempFolder folder;
    // A name that a URI can't take as it is.
    const std::string path = folder / "a?b#c%20d e\xff.db";
    if (killed) {
      die_with(path);
    } else {
      Store store{path};
      put(store, "a");
    }
    const auto before = files_in(folder.path());
    CHECK(before.size() == (killed ? 3 : 1));
    {
      Store store{path, Access::look};
      CHECK(store.find("a").has_value());
      CHECK_FALSE(store.is_outdated());
      CHECK_THROWS_AS(put(store, "b"), StoreError);
      CHECK(files_in(folder.path()) == before);
    }
    CHECK(files_in(folder.path()) == before);
  }
}

TEST_CASE("store: a look notices that somebody has written meanwhile") {
  const test::TempFolder folder;
  const std::string path = folder / "store.db";
  {
    Store store{path};
    put(store, "a");
  }
  Store look{path, Access::look};
  Store writer{path};
  put(writer, "b");
  CHECK(look.is_outdated());
  look.close();
  look.open();
  CHECK(look.find("b").has_value());
  CHECK_FALSE(look.is_outdated());
  put(writer, "c");
  CHECK(look.find("c").has_value());
  CHECK_FALSE(look.is_outdated());
}

TEST_CASE("store: a reader sees each commit, and is not seen itself") {
  const test::TempFolder folder;
  const std::string path = folder / "store.db";
  {
    Store writer{path};
    Store reader{path, Access::read};
    put(writer, "a");
    CHECK(reader.find("a").has_value());
    put(writer, "b");
    CHECK(reader.find("b").has_value());
    CHECK_FALSE(reader.is_outdated());
    CHECK_THROWS_AS(put(reader, "c"), StoreError);
    reader.close();
    reader.open();
    CHECK(reader.find("b").has_value());
    reader.close();
  }
  CHECK(files_in(folder.path()).size() == 1);
}

TEST_CASE("store: a reader makes no store, and refuses an empty, a foreign and a cut one") {
  const test::TempFolder folder;
  const std::string path = folder / "store.db";
  for (const Access access : {Access::read, Access::look}) {
    CHECK_THROWS_AS(Store(path, access), StoreError);
    CHECK(files_in(folder.path()).empty());
  }
  for (const char* content : {"", "no database at all"}) {
    std::ofstream{path} << content;
    CHECK_THROWS_AS(Store(path, Access::look), StoreError);
    CHECK(files_in(folder.path()).size() == 1);
  }
  std::filesystem::remove(path);
  die_with(path);
  std::filesystem::remove(path + "-shm");
  CHECK_THROWS_AS(Store(path, Access::look), StoreError);
  CHECK_FALSE(std::filesystem::exists(path + "-shm"));
}

TEST_CASE("store: tombstones are counted and listed by shard, tickets in pages") {
  const test::TempFolder folder;
  Store store{folder / "store.db"};
  for (int i = 0; i < 20; ++i) put(store, std::to_string(i), i % 4 == 0);
  put(store, "0");  // it is back
  CHECK(store.count_deleted() == 4);
  std::size_t found = 0;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    store.for_each_deleted(shard, [&](const Record& record) {
      ++found;
      CHECK(record.entry.deleted);
      CHECK(shard_of(record.entry.path) == shard);
    });
  }
  CHECK(found == 4);

  {
    Transaction transaction{store};
    for (int i = 0; i < 10; ++i) {
      Ticket ticket;
      ticket.wanted = test::entry("t" + std::to_string(i), 1, {{test::device('A'), 5}});
      CHECK(transaction.add_ticket(ticket));
    }
    transaction.commit();
  }
  std::uint64_t last = 0;
  std::size_t tickets = 0;
  for (auto page = store.tickets_after(0, 4); !page.empty(); page = store.tickets_after(last, 4)) {
    CHECK(page.size() <= 4);
    tickets += page.size();
    CHECK(page.front().id == last + 1);
    last = page.back().id;
  }
  CHECK(tickets == 10);
}
