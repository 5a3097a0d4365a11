#include "common/store/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>

#include "common/store/store.h"

namespace lefting::store {

namespace {

/// The beginning of a statement: what was tried, in a word.
std::string begin_of(std::string_view sql) {
  constexpr std::size_t kShown = 40;
  sql.remove_prefix(std::min(sql.find_first_not_of('\n'), sql.size()));
  const std::size_t end = std::min({sql.find_first_of("\n;"), sql.size(), kShown});
  return std::string{sql.substr(0, end)} + (end < sql.size() ? "…" : "");
}

}  // namespace

void throw_store_error(sqlite3* database, const std::string& what) {
  // A page that the disk doesn't give is "malformed" to SQLite, but may be read the next time.
  const bool is_unread = errno == EIO || errno == ENXIO;
  const int code = sqlite3_errcode(database);
  const std::string cause = what + ": " + sqlite3_errmsg(database);
  switch (code == SQLITE_CORRUPT && is_unread ? SQLITE_IOERR : code) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:  // a number is given twice: the counters are wrong, or the rows
    case SQLITE_MISMATCH:
      throw_damaged(cause);
    case SQLITE_FULL:
      throw StoreError(cause + "; make room on the state folder's disk", false);
    case SQLITE_IOERR:
      throw StoreError(cause + "; look at the state folder's disk: has it room, is it sound?",
                       false);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      throw StoreError(cause + "; may this user read and write the state folder and all in it?",
                       false);
    default:
      throw StoreError(cause, false);
  }
}

void throw_damaged(const std::string& what) {
  throw StoreError(what +
                       "; the store is damaged: `supervisor start --rebuild` makes a new one from "
                       "the share",
                   true);
}

void execute(sqlite3* database, const char* sql) {
  errno = 0;
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw_store_error(database, begin_of(sql));
  }
}

Statement::Statement(sqlite3* database, const char* sql) : database_{database} {
  errno = 0;
  if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) !=
      SQLITE_OK) {
    // The text of a statement is fixed, so that what it lacks is a table or a column.
    if (sqlite3_errcode(database) == SQLITE_ERROR) throw_damaged(sqlite3_errmsg(database));
    throw_store_error(database, begin_of(sql));
  }
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::check(int code) const {
  if (code != SQLITE_OK) throw_store_error(database_, "bind");
}

Statement& Statement::bind(int at, std::uint64_t value) {
  return bind(at, static_cast<std::int64_t>(value));
}

Statement& Statement::bind(int at, std::int64_t value) {
  check(sqlite3_bind_int64(statement_, at, value));
  return *this;
}

Statement& Statement::bind_blob(int at, std::span<const std::uint8_t> bytes) {
  // A null pointer would bind NULL, and an empty blob is not that.
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  check(sqlite3_bind_blob64(statement_, at, data, bytes.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::bind_blob(int at, std::string_view bytes) {
  return bind_blob(at, {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

Statement& Statement::bind_text(int at, std::string_view text) {
  check(sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_null(int at) {
  check(sqlite3_bind_null(statement_, at));
  return *this;
}

bool Statement::step() {
  errno = 0;
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      throw_store_error(database_, begin_of(sqlite3_sql(statement_)));
  }
}

void Statement::reset() { sqlite3_reset(statement_); }

void Statement::run() {
  const Query ended{*this};
  step();
}

std::uint64_t Statement::number(int column) const {
  return static_cast<std::uint64_t>(signed_number(column));
}

std::int64_t Statement::signed_number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::int64_t Statement::integer(int column, std::int64_t least, std::int64_t most) const {
  const std::int64_t value = signed_number(column);
  const bool right = sqlite3_column_type(statement_, column) == SQLITE_INTEGER;
  if (!right || value < least || value > most) {
    throw_damaged(std::string{"a row has no sound "} + sqlite3_column_name(statement_, column));
  }
  return value;
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int bytes = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<std::size_t>(bytes)};
}

}  // namespace lefting::store
