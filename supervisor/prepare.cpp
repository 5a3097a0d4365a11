#include "supervisor/prepare.h"

#include <unistd.h>

#include <array>
#include <filesystem>

#include "common/base/log.h"
#include "common/net/address.h"
#include "common/net/identity.h"
#include "common/share/marker.h"
#include "common/share/share.h"
#include "common/state/peers.h"
#include "common/store/check.h"
#include "common/store/store.h"
#include "common/sync/loaders.h"
#include "supervisor/control_socket.h"
#include "supervisor/instance_lock.h"
#include "supervisor/peer_store.h"
#include "supervisor/rebuild.h"

namespace lefting::supervisor {

namespace {

namespace fs = std::filesystem;

constexpr milliseconds kLockWait{10000};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unnamed";
  return name.data();
}

bool is_within(const fs::path& inner, const fs::path& outer) {
  const fs::path relative = inner.lexically_relative(outer);
  return !relative.empty() && *relative.begin() != "..";
}

/// Marks the folder as this index's share at its first start; later it must be that one.
Status claim_share(const share::Share& share, store::Store& store) {
  const std::string index = index_text(store.index_id());
  if (store.has_share()) return share::check_marker(share, index);
  if (auto written = share::write_marker(share, index); !written) return written;
  store.note_share();
  return {};
}

std::string absolute_path(const std::string& folder) {
  std::string absolute = fs::absolute(folder).lexically_normal().string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

/// Makes the share where it is missing, if `may_make`: at the first start only.
Result<share::Share> prepare_share(const std::string& absolute, const InstancePaths& paths,
                                   bool may_make) {
  std::error_code error;
  if (may_make) fs::create_directories(absolute, error);
  if (!fs::is_directory(absolute, error)) {
    return plain_error("share \"" + absolute + "\"", error ? error.message() : "it is not a folder",
                       may_make ? "choose another with --share DIR"
                                : "mount it or put it back, or choose another with --share DIR; "
                                  "one that is to begin empty must be made first");
  }
  if (::access(absolute.c_str(), R_OK | W_OK | X_OK) != 0) {
    return os_error(errno, "use share", absolute, "choose another with --share DIR");
  }
  // Else this device's private key would be sent to every peer.
  if (is_within(fs::canonical(paths.dir), fs::canonical(absolute))) {
    return plain_error("share \"" + absolute + "\"", "the instance folder lies in it",
                       "choose another with --share DIR or --state DIR");
  }
  return share::Share::open(absolute);
}

/// The peers of flags and configuration.
Result<std::vector<Peer>> parse_peers(const Settings& settings, const DeviceId& own) {
  std::vector<Peer> out;
  for (const std::string& text : settings.peers) {
    auto peer = parse_peer(text, settings.plain, own);
    if (!peer) return peer.error();
    out.push_back(peer.take());
  }
  return out;
}

/// Puts them into the store, or what they say anew of one there.
Status prepare_peers(store::Store& store, const std::vector<Peer>& peers) {
  for (const Peer& peer : peers) {
    if (auto added = add_peer(store, peer); !added) return added.error();
  }
  return {};
}

/// Makes the segment and loads the peers into it: later the supervisor takes no lock in it.
state::Segment prepare_segment(store::Store& store, const Settings& settings) {
  auto segment = state::Segment::create(settings.segment_limit_mib << 20);
  const state::PeerList peers{segment, sync::peer_loader(store)};
  static_cast<void>(peers.list());
  return segment;
}

Result<UniqueFd> prepare_listening(Settings& settings) {
  const auto wanted = net::parse_address(settings.listen);
  if (!wanted) return wanted.error();
  auto socket = net::listen_on(wanted.value());
  if (!socket) {
    Error error = socket.error();
    if (error.advice.empty()) error.advice = "choose another with --listen ADDRESS:PORT";
    return error;
  }
  const auto bound = net::local_address(socket.value().get());
  if (!bound) return bound.error();
  settings.listen = bound.value().text();
  return socket;
}

std::string last_path(const InstancePaths& paths) { return paths.dir + "/last.toml"; }

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

Status write_last(const InstancePaths& paths, const Settings& settings) {
  std::string text = "# What this instance was last started with; written by `supervisor start`.\n";
  for (const auto& [key, value] :
       {std::pair{"share", settings.share}, {"listen", settings.listen}, {"name", settings.name}}) {
    if (is_utf8(value)) text += fmt::format("{} = {}\n", key, toml_text(value));
  }
  text += fmt::format("plain = {}\n", settings.plain);
  return write_file(last_path(paths), text, 0600);
}

/// What was here before this start. Throws StoreError where its store can't be gone on with.
Past past_of(const InstancePaths& paths, const Settings& settings, bool rebuild) {
  Past past{.rebuild = rebuild};
  if (!rebuild) past.goes_on = store::check_store(paths.store());
  past.started = ::access(last_path(paths).c_str(), F_OK) == 0;
  past.same_share = past.started && last_settings(paths).share == settings.share;
  return past;
}

}  // namespace

Settings last_settings(const InstancePaths& paths) {
  Settings settings;
  Settings last;
  // A fault in either is reported by `start`; here the defaults will do.
  if (!load_settings(settings, paths.config())) settings = {};
  if (!load_settings(last, last_path(paths))) return settings;
  if (::access(last_path(paths).c_str(), F_OK) == 0) {
    settings.share = last.share;
    settings.listen = last.listen;
    settings.name = last.name;
    settings.plain = last.plain;
  }
  return settings;
}

Result<Prepared> prepare_instance(const InstancePaths& paths, Settings settings, bool rebuild) {
  if (auto made = make_instance_folder(paths); !made) return made.error();
  auto lock = lock_instance(paths, kLockWait);
  if (!lock) return lock.error();
  open_log("supervisor", paths.log("supervisor"), log_level(settings));

  auto identity = net::Identity::open(paths.key(), paths.certificate());
  if (!identity) return identity.error();
  const DeviceId device = identity.value().device();
  if (settings.name.empty()) settings.name = host_name();

  settings.share = absolute_path(settings.share);
  if (auto finished = finish_rebuild(paths); !finished) return finished.error();
  const Past past = past_of(paths, settings, rebuild);
  const bool is_first = !past.rebuild && !past.goes_on && !past.started;
  const auto share = prepare_share(settings.share, paths, is_first);
  if (!share) return share.error();
  const auto peers = parse_peers(settings, device);
  if (!peers) return peers.error();
  auto listening = prepare_listening(settings);
  if (!listening) return listening.error();
  // From here on the store may change.
  auto begun = begin_index(paths, share.value(), device, past);
  if (!begun) return begun.error();
  store::Store& store = *begun.value().store;
  if (auto put = prepare_peers(store, peers.value()); !put) return put.error();
  if (auto claimed = claim_share(share.value(), store); !claimed) return claimed.error();
  if (auto noted = write_last(paths, settings); !noted) return noted.error();
  state::Segment segment = prepare_segment(store, settings);
  auto control = listen_control(paths);
  if (!control) return control.error();
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return Prepared{.paths = paths,
                  .settings = std::move(settings),
                  .programs = self.parent_path().string(),
                  .device = to_text(device),
                  .lock = lock.take(),
                  .segment = std::move(segment),
                  .listening = listening.take(),
                  .control = control.take(),
                  .wakes = {},
                  .note = std::move(begun.value().note)};
}

}  // namespace lefting::supervisor
