// What a store's write-ahead log looks like after a death, after a power cut, and garbled.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/store/check.h"
#include "common/store/store.h"
#include "common/store/wal.h"
#include "tests/unit/damaged_store.h"

using namespace lefting;
using namespace lefting::test;
using store::Store;
using store::Transaction;
namespace fs = std::filesystem;

namespace {

/// A store as it lies there when all its programs were killed: with commits in its log.
class KilledStore {
 public:
  KilledStore() {
    const std::string good = make_store(made_);
    Store store{good};
    for (int i = 0; i < 5; ++i) {
      Transaction transaction{store};
      Record record;
      record.entry = test::entry("late " + std::to_string(i), i, {{test::device('A'), 7}});
      transaction.put_record(record, 0);
      transaction.commit();
    }
    fs::copy_file(good, path());
    fs::copy_file(good + "-wal", path() + "-wal");
    log_ = bytes_of(path() + "-wal");
    REQUIRE(log_.size() > 32 + 5 * (24 + kPageBytes));
  }
  std::string path() const { return killed_ / "s.db"; }
  const std::string& log() const { return log_; }
  void set_log(const std::string& bytes) {
    fs::remove(path() + "-shm");
    std::ofstream{path() + "-wal", std::ios::binary} << bytes;
  }

 private:
  test::TempFolder made_;
  test::TempFolder killed_;
  std::string log_;
};

}  // namespace

TEST_CASE("store damage: a log with a torn end is no damage, and its commits are there") {
  KilledStore killed;
  CHECK_FALSE(store::is_wal_garbled(killed.path()));
  CHECK(store::check_store(killed.path()));
  for (const std::size_t torn : {1u, 24u, 4000u, 4119u}) {
    CAPTURE(torn);
    killed.set_log(killed.log().substr(0, killed.log().size() - torn));
    CHECK_FALSE(store::is_wal_garbled(killed.path()));
    CHECK(store::check_store(killed.path()));
  }
  killed.set_log(killed.log() + std::string(3 * (24 + kPageBytes), '\7'));
  CHECK_FALSE(store::is_wal_garbled(killed.path()));
  CHECK(store::check_store(killed.path()));
  CHECK(read_all(killed.path()).records.size() == kRecords + 5);
}

TEST_CASE("store damage: a garbled log is refused, and nothing of it is thrown away") {
  KilledStore killed;
  for (const std::size_t at : {0u, 9u, 17u, 25u, 32u + 3, 32u + 10, 32u + 17, 32u + 2000}) {
    CAPTURE(at);
    std::string bytes = killed.log();
    bytes[at] = static_cast<char>(bytes[at] + 1);
    killed.set_log(bytes);
    CHECK(store::is_wal_garbled(killed.path()));
    CHECK(says(refusal(killed.path()), "-wal is garbled"));
    CHECK(bytes_of(killed.path() + "-wal") == bytes);
  }
  killed.set_log(killed.log().substr(0, 20));
  CHECK(says(refusal(killed.path()), "-wal is garbled"));
}

TEST_CASE("store damage: after a power cut the log may have holes, and the store goes on") {
  KilledStore killed;
  run_sql(killed.path(), "UPDATE fact SET value='another boot' WHERE name='boot'");
  // Closed by that; a log with a hole is put beside it again.
  std::string bytes = killed.log();
  bytes.replace(32 + 100, 4096, 4096, '\0');
  killed.set_log(bytes);
  REQUIRE(store::is_wal_garbled(killed.path()));
  CHECK(store::check_store(killed.path()));
}
