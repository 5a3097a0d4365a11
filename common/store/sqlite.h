#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace lefting::store {

/// A prepared statement. Bind by position from 1, step, read columns from 0, reset.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int at, std::uint64_t value);
  Statement& bind(int at, std::int64_t value);
  /// `bytes` must live until the statement is reset.
  Statement& bind_blob(int at, std::span<const std::uint8_t> bytes);
  Statement& bind_blob(int at, std::string_view bytes);
  Statement& bind_text(int at, std::string_view text);
  Statement& bind_null(int at);

  /// True: a row is there. Throws StoreError.
  bool step();
  void reset();
  /// Steps a statement that gives no rows, then resets it.
  void run();

  std::uint64_t number(int column) const;
  /// A number within its limits; anything else is damage. Throws StoreError.
  std::int64_t integer(int column, std::int64_t least, std::int64_t most) const;
  std::int64_t signed_number(int column) const;
  bool is_null(int column) const;
  std::string_view blob(int column) const;  ///< valid until the next step or reset

 private:
  void check(int code) const;
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

/// Resets a statement when the scope ends, however it ends.
class Query {
 public:
  explicit Query(Statement& statement) : statement_{statement} {}
  ~Query() { statement_.reset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Statement* operator->() { return &statement_; }

 private:
  Statement& statement_;
};

/// Says what is wrong with the store, and that a new one can be made.
[[noreturn]] void throw_damaged(const std::string& what);
[[noreturn]] void throw_store_error(sqlite3* database, const std::string& what);
void execute(sqlite3* database, const char* sql);

}  // namespace lefting::store
