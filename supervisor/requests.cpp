#include "supervisor/requests.h"

#include <unistd.h>

#include <algorithm>

#include "common/base/clock.h"

namespace lefting::supervisor {

namespace {

constexpr const char* kStopping = "the instance is being stopped";

ControlAnswer done(ControlReply reply) { return {encode_reply(reply), {}}; }
ControlAnswer refusal(const std::string& operation, const std::string& why) {
  return done({.operation = operation, .error = why, .instance = {}, .hellos = {}});
}
PendingAnswer at_once(ControlAnswer answer) {
  return [answer = std::move(answer)] { return std::optional{answer}; };
}

std::optional<state::Role> role_named(std::string_view name) {
  const auto found = std::ranges::find(state::kRoleNames, name);
  if (found == state::kRoleNames.end()) return std::nullopt;
  return static_cast<state::Role>(found - state::kRoleNames.begin());
}

}  // namespace

Requests::Requests(Prepared& instance, RoleGroup& roles, HelloRunner& hellos,
                   std::function<void()> stop)
    : instance_{instance},
      roles_{roles},
      hellos_{hellos},
      stop_{std::move(stop)},
      started_ms_{monotonic_ms()} {}

PendingAnswer Requests::handle(const ControlRequest& request) {
  const std::string& operation = request.operation;
  if (operation == "status" || operation == "attach") return status(request);
  if (operation == "stop") return stop();
  if (stopping_) return at_once(refusal(operation, kStopping));
  if (operation == "restart") return restart(request);
  if (operation == "rescan") return rescan();
  if (operation == "hello") return hello(request);
  return at_once(refusal(operation, "unknown operation"));
}

PendingAnswer Requests::status(const ControlRequest& request) {
  ControlReply reply;
  reply.operation = request.operation;
  reply.instance = report();
  ControlAnswer answer = done(std::move(reply));
  if (request.operation == "attach") {
    answer.fds = {instance_.segment.fd(), instance_.wakes.scanner.fd(),
                  instance_.wakes.listener.fd(), instance_.wakes.downloader.fd(),
                  instance_.wakes.supervisor.fd()};
  }
  return at_once(std::move(answer));
}

InstanceReport Requests::report() const {
  const std::uint64_t now_ms = monotonic_ms();
  InstanceReport out{.pid = ::getpid(),
                     .generation = instance_.segment.generation().value,
                     .uptime_ms = now_ms - started_ms_,
                     .device = instance_.device,
                     .name = instance_.settings.name,
                     .share = instance_.settings.share,
                     .listen = instance_.settings.listen,
                     .plain = instance_.settings.plain,
                     .roles = {}};
  for (std::size_t i = 0; i < state::kRoles; ++i) {
    const auto role = roles_.report(static_cast<state::Role>(i), now_ms);
    out.roles.push_back(
        {std::string{state::kRoleNames[i]}, state::to_text(role.state), role.pid, role.uptime_ms});
  }
  return out;
}

PendingAnswer Requests::stop() {
  stop_();
  return [this]() -> std::optional<ControlAnswer> {
    if (!stopped_) return std::nullopt;
    return done({.operation = "stop", .error = {}, .instance = {}, .hellos = {}});
  };
}

PendingAnswer Requests::restart(const ControlRequest& request) {
  std::vector<state::Role> roles;
  for (const std::string& name : request.roles) {
    const auto role = role_named(name);
    if (!role) {
      return at_once(refusal(
          "restart", "there is no role \"" + name + "\"; roles are scanner, listener, downloader"));
    }
    roles.push_back(*role);
  }
  if (roles.empty()) {
    roles = {state::Role::scanner, state::Role::listener, state::Role::downloader};
  }
  for (const state::Role role : roles) roles_.restart(role, monotonic_ms());
  return [this, roles]() -> std::optional<ControlAnswer> {
    bool all = true;
    for (const state::Role role : roles) {
      const auto outcome = roles_.restarted(role);
      if (outcome && !outcome->empty()) {
        return refusal("restart", *outcome + "; see `supervisor logs`");
      }
      all = all && outcome;
    }
    if (!all) return std::nullopt;
    return done({.operation = "restart", .error = {}, .instance = {}, .hellos = {}});
  };
}

PendingAnswer Requests::rescan() {
  auto& words = state::scan_words(instance_.segment);
  const std::uint64_t number = words.wanted.fetch_add(1) + 1;
  instance_.wakes.scanner.signal();
  return [this, &words, number]() -> std::optional<ControlAnswer> {
    if (words.answered.load() >= number) {
      return done({.operation = "rescan", .error = {}, .instance = {}, .hellos = {}});
    }
    if (stopping_) return refusal("rescan", kStopping);
    const auto scanner = state::role_slot(instance_.segment, state::Role::scanner).state.load();
    if (scanner != state::RoleState::failed) return std::nullopt;
    return refusal("rescan",
                   "the scanner has failed; see `supervisor logs scanner`, then `supervisor "
                   "restart scanner`");
  };
}

PendingAnswer Requests::hello(const ControlRequest& request) {
  std::uint64_t slots = request.slots.empty() ? ~std::uint64_t{0} : 0;
  for (const int slot : request.slots) {
    if (slot < 0 || slot >= kMaxPeers) return at_once(refusal("hello", "there is no such slot"));
    slots |= std::uint64_t{1} << slot;
  }
  slots = hellos_.ask(slots, monotonic_ms());
  std::vector<std::pair<int, std::uint64_t>> asked;  // and how many hellos had ended by then
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    if ((slots >> slot & 1) != 0) asked.emplace_back(slot, hellos_.outcome(slot).ended);
  }
  return [this, asked]() -> std::optional<ControlAnswer> {
    if (stopping_) return refusal("hello", kStopping);
    ControlReply reply;
    reply.operation = "hello";
    for (const auto& [slot, ended_before] : asked) {
      const auto outcome = hellos_.outcome(slot);
      const bool ended = outcome.ended > ended_before;
      if (!ended && hellos_.has_peer(slot)) return std::nullopt;
      reply.hellos.push_back({slot, ended && outcome.said});
    }
    return done(std::move(reply));
  };
}

}  // namespace lefting::supervisor
