#include "supervisor/rebuild.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/os.h"
#include "common/share/marker.h"
#include "common/store/check.h"
#include "common/sync/writer.h"

namespace lefting::supervisor {

namespace {

namespace fs = std::filesystem;

/// What SQLite keeps beside a store.
constexpr std::array<const char*, 2> kBeside = {"-wal", "-shm"};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// An empty folder without a marker was not the share of an instance that had files.
Status refuse_unmounted(const share::Share& share, const Past& past, bool has_store,
                        const store::Salvage& old) {
  const bool may_have_had_files = old.had_files.value_or(past.same_share || has_store);
  std::error_code error;
  if (!may_have_had_files || share::has_marker(share) || !fs::is_empty(share.folder(), error)) {
    return {};
  }
  const std::string marker = share.folder() + "/" + std::string{share::kMarkerName};
  return plain_error("share \"" + share.folder() + "\"",
                     "it is empty and has no marker, though this instance had files",
                     "mount it, or put it back. If it is to begin empty: touch '" + marker + "'");
}

/// A name for the old store that is free, with those beside it.
std::string aside_name(const std::string& store) {
  const std::time_t now = static_cast<std::time_t>(wall_ms() / 1000);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y%m%d-%H%M%S", &local);
  const std::string plain = store + ".old-" + time.data();
  std::string name = plain;
  for (int i = 2; exists(name) || exists(name + kBeside[0]); ++i) {
    name = plain + "-" + std::to_string(i);
  }
  return name;
}

Status sync_folder(const std::string& folder) {
  const UniqueFd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || ::fsync(fd.get()) != 0) return os_error(errno, "fsync folder", folder);
  return {};
}

/// Gives the store and what belongs to it another name; empty where there is none.
Result<std::string> set_aside(const InstancePaths& paths) {
  const std::string store = paths.store();
  if (!exists(store)) return std::string{};
  const std::string name = aside_name(store);
  // The store first: a log without one is never taken for a part of the next.
  if (::rename(store.c_str(), name.c_str()) != 0) return os_error(errno, "set aside", store);
  for (const char* end : kBeside) {
    if (::rename((store + end).c_str(), (name + end).c_str()) != 0 && errno != ENOENT) {
      log_warning("{}", os_error(errno, "set aside", store + end).text());
    }
  }
  if (auto synced = sync_folder(paths.dir); !synced) log_warning("{}", synced.error().text());
  log_warning("the old store is kept as {}", printable(name));
  return name;
}

/// The index's name in versions, chosen once. While a share is adopted a power cut may take back
/// versions that peers have seen already, so then it is chosen anew.
void choose_writer(store::Store& store, const DeviceId& device, bool successor) {
  const bool again = store.adopter() && !store.is_of_this_boot();
  if (store.writer() && !again) return;
  const ShortId own = successor || again
                          ? sync::successor_writer(device, store.index_id(), boot_id())
                          : short_id(device);
  store.set_writer(own, successor || again);
}

void take_over(store::Store& store, const std::vector<Peer>& peers) {
  store::Transaction transaction{store};
  for (Peer peer : peers) transaction.put_peer(peer);
  transaction.commit();
}

/// A store that takes the old one's place when all is in it.
std::string next_store(const InstancePaths& paths) { return paths.store() + ".new"; }

/// Closed at the end, so that all of it is in the one file.
void make_next_store(const InstancePaths& paths, const DeviceId& device,
                     const std::optional<std::vector<Peer>>& peers) {
  const std::string path = next_store(paths);
  for (const char* end : {"", kBeside[0], kBeside[1]}) fs::remove(path + end);
  store::Store store{path};
  choose_writer(store, device, true);
  if (peers) take_over(store, *peers);
}

std::string note_of(const Past& past, const std::string& kept_as,
                    const std::optional<std::vector<Peer>>& peers) {
  std::string note = past.rebuild ? "the index is made anew from the share"
                                  : "the index of this share is lost, and made anew from the share";
  if (!kept_as.empty()) note += "; the old store is kept as " + kept_as;
  if (peers) return note + "; peers taken over: " + std::to_string(peers->size());
  return note + "; its peers are not known: add those again that stand in no setting";
}

}  // namespace

Status finish_rebuild(const InstancePaths& paths) {
  const std::string next = next_store(paths);
  if (exists(paths.store()) || !exists(next)) return {};
  if (::rename(next.c_str(), paths.store().c_str()) != 0)
    return os_error(errno, "put in place", next);
  return sync_folder(paths.dir);
}

Result<BegunIndex> begin_index(const InstancePaths& paths, const share::Share& share,
                               const DeviceId& device, const Past& past) {
  const bool successor =
      !past.goes_on && (past.rebuild || past.started || share::has_marker(share));
  const store::Salvage old = past.rebuild ? store::salvage(paths.store()) : store::Salvage{};
  const bool has_store = past.rebuild && exists(paths.store());
  if (successor) {
    if (auto there = refuse_unmounted(share, past, has_store, old); !there) return there.error();
  }
  BegunIndex out;
  std::string kept_as;
  if (past.rebuild) {
    make_next_store(paths, device, old.peers);
    auto aside = set_aside(paths);
    if (!aside) return aside.error();
    kept_as = aside.take();
    if (auto done = finish_rebuild(paths); !done) return done.error();
  }
  out.store = std::make_unique<store::Store>(paths.store());
  if (successor && (past.rebuild || !out.store->writer())) {
    out.note = note_of(past, kept_as, old.peers);
    log_info("{}", printable(out.note));
  }
  choose_writer(*out.store, device, successor);
  out.store->begin_instance();
  return out;
}

}  // namespace lefting::supervisor
