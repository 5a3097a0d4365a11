// A program dies while it brings an old store up to date, and the store is the old one, or the new.
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "common/store/store.h"
#include "tests/fault/dying_child.h"
#include "tests/unit/old_store.h"
#include "tests/unit/run_sql.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::test;

#ifndef __SANITIZE_THREAD__  // which sees one process only

namespace {

void make_old_store(const std::string& path, std::uint64_t tickets) {
  std::string sql = std::string{"PRAGMA journal_mode=WAL; BEGIN IMMEDIATE;"} + kOldStore;
  for (std::uint64_t id = 1; id <= tickets; ++id) {
    const std::string number = std::to_string(id);
    sql += "INSERT INTO ticket VALUES(" + number + ", CAST('t" + number +
           "' AS BLOB), 1, 2, 420, 0, NULL, x'', 1, x'');\n";
  }
  sql += "UPDATE counter SET value=" + std::to_string(tickets) + " WHERE name='ticket'; COMMIT;";
  run_sql(path, sql);
}

int steps_left = 0;

/// Lets this program die after so many steps of SQLite's machine.
int die_when_out_of_steps(sqlite3* raw, const char**, const sqlite3_api_routines*) {
  const auto count = [](void*) {
    if (--steps_left <= 0) ::kill(::getpid(), SIGKILL);
    return 0;
  };
  sqlite3_progress_handler(raw, 1, count, nullptr);
  return SQLITE_OK;
}

}  // namespace

TEST_CASE("Store: a death at any step of its upgrade leaves the old version, or the new one") {
  const TempFolder folder;
  const std::string path = folder / "s.db";
  constexpr std::uint64_t kTickets = 300;
  bool upgraded = false;
  int deaths = 0;
  for (int steps = 1; !upgraded; steps += 1 + steps / 4) {
    CAPTURE(steps);
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(path + part);
    make_old_store(path, kTickets);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      steps_left = steps;
      sqlite3_auto_extension(reinterpret_cast<void (*)()>(die_when_out_of_steps));
      { store::Store opened{path}; }
      ::_exit(0);
    }
    upgraded = WIFEXITED(wait_for(child));
    deaths += !upgraded;
    store::Store store{path};  // which brings it up to date, if that is still to be done
    REQUIRE(store.tickets_after(0, SIZE_MAX >> 1).size() == kTickets);
    for (std::uint64_t id = 1; id <= kTickets; ++id) {
      REQUIRE(store.find_ticket("t" + std::to_string(id))->id == id);
    }
  }
  CHECK(deaths > 20);
}

#endif  // __SANITIZE_THREAD__
