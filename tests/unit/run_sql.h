#pragma once

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <string>

namespace lefting::test {

/// Runs statements in the database at `path`, which is made if it is not there.
inline void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(raw) == SQLITE_OK);
}

}  // namespace lefting::test
