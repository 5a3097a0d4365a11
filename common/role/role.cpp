#include "common/role/role.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sync/loaders.h"

namespace lefting {

namespace {

/// Takes an inherited descriptor over; close-on-exec from now on.
UniqueFd adopt(int fd) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return UniqueFd{};
  return UniqueFd{fd};
}

/// Memory of the segment or of the store's index could not be had when it was touched. What was
/// being changed is dirty, so a fresh process is the remedy.
void leave_at_bus_error(int) {
  constexpr std::string_view kText = "memory was refused (SIGBUS); free memory or disk space\n";
  static_cast<void>(!::write(STDERR_FILENO, kText.data(), kText.size()));
  ::_exit(kExitMemory);
}

struct RoleArguments {
  InstancePaths paths;
  Settings settings;
};

Result<RoleArguments> role_arguments(int argc, char** argv) {
  RoleArguments out;
  auto rest = take_setting_flags(out.settings, {argv + 1, argv + argc});
  if (!rest) return rest.error();
  if (rest.value().size() != 2 || rest.value()[0] != "--state") {
    return plain_error("start", "roles are started by the supervisor",
                       "use `supervisor start` or `supervisor restart`");
  }
  out.paths = instance_paths(rest.value()[1]);
  return out;
}

int run_attached(state::Role role, Inherited inherited, RoleArguments arguments,
                 const std::function<void(RoleContext&)>& body) {
  const auto pick = [role](state::Segment& segment) -> state::Inflight& {
    return state::role_inflight(segment, role);
  };
  auto instance = open_instance(std::move(arguments.paths), std::move(arguments.settings),
                                std::move(inherited.segment), std::move(inherited.wakes), pick);
  if (!instance) {
    log_error("{}", instance.error().text());
    return may_pass(instance.error()) ? kExitFailed : kExitPermanent;
  }
  state::RoleSlot& slot = state::role_slot(instance.value()->segment, role);
  RoleContext context{*instance.value(), &slot, inherited.lifeline.get(),
                      std::move(inherited.ready)};
  context.beat();
  body(context);
  return kExitDone;
}

}  // namespace

Instance::Instance(InstancePaths instance_paths, Settings instance_settings,
                   net::Identity instance_identity, state::Segment instance_segment,
                   Wakes instance_wakes, const PickInflight& inflight)
    : paths{std::move(instance_paths)},
      settings{std::move(instance_settings)},
      identity{std::move(instance_identity)},
      segment{std::move(instance_segment)},
      store{paths.store()},
      backing{paths.store(), store::Access::read},
      writer{store.writer().value_or(short_id(identity.device()))},
      dictionary{segment, sync::backing_of(backing)},
      tickets{segment, sync::ticket_loader(backing)},
      peers{segment, sync::peer_loader(backing)},
      index{store, dictionary, tickets, inflight(segment)},
      wakes{std::move(instance_wakes)} {
  if (!index.replay()) return;
  // Whoever was to hear of it may have waited for the dead.
  wakes.scanner.signal();
  wakes.downloader.signal();
}

void Instance::ask_traversal() {
  state::scan_words(segment).wanted.fetch_add(1);
  wakes.scanner.signal();
}

RoleContext::RoleContext(Instance& instance, state::RoleSlot* slot, int stop_fd, UniqueFd ready_fd)
    : instance_{instance}, slot_{slot}, stop_fd_{stop_fd}, ready_fd_{std::move(ready_fd)} {}

bool RoleContext::stopping() const {
  pollfd stop{.fd = stop_fd_, .events = POLLIN, .revents = 0};
  return poll_fds({&stop, 1}, 0) > 0;
}

void RoleContext::beat() {
  if (slot_ != nullptr) slot_->heartbeat_ms.store(monotonic_ms());
}

void RoleContext::ready() {
  if (!ready_fd_) return;
  // If nobody listens, the supervisor is gone, and the lifeline says so too.
  static_cast<void>(write_all(ready_fd_.get(), std::as_bytes(std::span{"\n", 1})));
  ready_fd_.reset();
}

void RoleContext::leave_if_hopeless(const std::exception& error) {
  const auto* fault = dynamic_cast<const store::StoreError*>(&error);
  if (fault == nullptr || !fault->permanent) return;
  log_error("{}", fault->what());
  std::_Exit(kExitPermanent);
}

Result<Inherited> take_inherited() {
  const char* text = std::getenv(kGenerationVariable);
  if (text == nullptr) {
    return plain_error("start", "this program is started by the supervisor",
                       "use `supervisor start`");
  }
  Inherited out{.segment = adopt(kSegmentFd),
                .lifeline = adopt(kLifelineFd),
                .ready = adopt(kReadyFd),
                .wakes = {.scanner = EventFd{adopt(kWakeScannerFd)},
                          .listener = EventFd{adopt(kWakeListenerFd)},
                          .downloader = EventFd{adopt(kWakeDownloaderFd)},
                          .supervisor = EventFd{adopt(kWakeSupervisorFd)}},
                .lock = adopt(kLockFd)};
  if (!out.segment || !out.lifeline) return plain_error("start", "a descriptor is missing");
  return out;
}

UniqueFd take_listen_socket() { return adopt(kListenFd); }

Result<std::unique_ptr<Instance>> open_instance(InstancePaths paths, Settings settings,
                                                UniqueFd segment_fd, Wakes wakes,
                                                const Instance::PickInflight& inflight) {
  auto segment = state::Segment::attach(std::move(segment_fd));
  if (!segment) return segment.error();
  if (const char* wanted = std::getenv(kGenerationVariable); wanted != nullptr) {
    if (std::to_string(segment.value().generation().value) != wanted) {
      return plain_error("attach to segment", "it is of another generation");
    }
  }
  auto identity = net::Identity::open(paths.key(), paths.certificate());
  if (!identity) return identity.error();
  return std::make_unique<Instance>(std::move(paths), std::move(settings), identity.take(),
                                    segment.take(), std::move(wakes), inflight);
}

share::Share open_share(const Instance& instance) {
  auto share = share::Share::open(instance.settings.share);
  if (!share && may_pass(share.error())) throw std::runtime_error{share.error().text()};
  if (!share) throw PermanentError{share.error().text()};
  return share.take();
}

int run_role(state::Role role, int argc, char** argv,
             const std::function<void(RoleContext&)>& body) {
  const std::string name{state::kRoleNames[static_cast<std::size_t>(role)]};
  if (argc == 2 && std::string_view{argv[1]} == "--version") {
    std::puts("lefting " LEFTING_VERSION);
    return 0;
  }
  std::signal(SIGBUS, leave_at_bus_error);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error of that send, not a death
  try {
    auto arguments = role_arguments(argc, argv);
    auto inherited = take_inherited();
    if (!arguments || !inherited) {
      const Error& error = arguments ? inherited.error() : arguments.error();
      std::fprintf(stderr, "%s: %s\n", name.c_str(), error.text().c_str());
      return 2;
    }
    open_log(name, arguments.value().paths.log(name), log_level(arguments.value().settings));
    return run_attached(role, inherited.take(), arguments.take(), body);
  } catch (const store::StoreError& error) {
    log_error("{}", error.what());
    return error.permanent ? kExitPermanent : kExitFailed;
  } catch (const PermanentError& error) {
    log_error("{}", error.what());
    return kExitPermanent;
  } catch (const std::exception& error) {
    log_error("{}", error.what());
    return kExitFailed;
  }
}

}  // namespace lefting
