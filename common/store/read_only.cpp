#include "common/store/read_only.h"

#include <fmt/core.h>
#include <unistd.h>

#include <optional>
#include <string_view>
#include <utility>

#include "common/base/os.h"
#include "common/store/file_mark.h"
#include "common/store/schema.h"

namespace lefting::store {

namespace {

constexpr int kBusyMs = 5000;

std::string uri_of(const std::string& path, std::string_view query) {
  std::string out = path.starts_with('/') ? "file://" : "file:";
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view{"/-_.~"}.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out + "?mode=ro" + std::string{query};
}

Handle open_uri(const std::string& path, std::string_view query) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(uri_of(path, query).c_str(), &raw, flags, nullptr);
  Handle handle{raw};
  if (code != SQLITE_OK) throw_store_error(raw, "open store \"" + path + "\"");
  sqlite3_busy_timeout(raw, kBusyMs);
  try {
    execute(raw, "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY");
    check_schema(raw);
  } catch (const StoreError& error) {
    throw StoreError("store \"" + path + "\": " + error.what(), error.permanent);
  }
  return handle;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// Which of its files a store has beside the file itself.
struct Beside {
  bool log = false;      ///< -wal, whatever is in it
  bool has_log = false;  ///< -wal with something in it
  bool index = false;    ///< -shm
  bool operator==(const Beside&) const = default;
};

Beside look_beside(const std::string& path) {
  return {.log = exists(path + "-wal"),
          .has_log = file_mark(path).log_bytes > 0,
          .index = exists(path + "-shm")};
}

/// A store at rest, so that no file is made or changed. Nothing if it isn't at rest just now.
std::optional<Handle> try_open_at_rest(const std::string& path) {
  const Beside before = look_beside(path);
  // All is in the file itself. SQLite would make -wal and -shm all the same, but for this.
  if (!before.has_log && !(before.log && before.index)) return open_uri(path, "&immutable=1");
  // Whoever closes it last removes the -shm first.
  if (!before.index) return std::nullopt;
  try {
    // Whoever had it open is dead: then SQLite reads the -wal into memory of its own.
    return open_uri(path, "&readonly_shm=1");
  } catch (const StoreError& error) {
    if (error.permanent) throw;
    if (look_beside(path) != before) return std::nullopt;
    // Somebody is at it, and has left no mark in the -shm that one who can't write it could use.
    return open_uri(path, "");
  }
}

Handle open_at_rest(const std::string& path) {
  constexpr int kTries = 20;
  constexpr int kPauseMs = 10;
  for (int i = 0; i < kTries; ++i) {
    if (auto handle = try_open_at_rest(path)) return std::move(*handle);
    poll_fds({}, kPauseMs);
  }
  throw StoreError("store \"" + path +
                       "\": its -shm is missing beside its -wal; `supervisor start` makes it again",
                   false);
}

}  // namespace

Handle open_to_read(const std::string& path, Access access) {
  return access == Access::look ? open_at_rest(path) : open_uri(path, "");
}

bool is_immutable(sqlite3* database) {
  return sqlite3_uri_boolean(sqlite3_db_filename(database, "main"), "immutable", 0) != 0;
}

}  // namespace lefting::store
