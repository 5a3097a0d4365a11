#include "supervisor/group.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/role/inherited.h"

namespace lefting::supervisor {

namespace {

using state::RoleState;

constexpr std::uint64_t kCheckMs = 5000;
/// Checks, not milliseconds: where the supervisor itself was stopped (a laptop that slept, a
/// debugger), one late check says nothing about the roles.
constexpr unsigned kStillChecks = 3;
/// Before its first beat a role opens the store, which may take long after a crash of the machine.
constexpr unsigned kFirstBeatChecks = 12;
constexpr unsigned kManyEarlyDeaths = 5;

const char* name_of(std::size_t i) { return state::kRoleNames[i].data(); }

}  // namespace

RoleGroup::RoleGroup(state::Segment& segment, Spawn spawn)
    : segment_{segment}, spawn_{std::move(spawn)} {}

state::RoleSlot& RoleGroup::slot(std::size_t i) const {
  return state::role_slot(segment_, static_cast<state::Role>(i));
}

void RoleGroup::set_state(std::size_t i, RoleState state) { slot(i).state.store(state); }

void RoleGroup::start_all(std::uint64_t now_ms) {
  next_check_ms_ = now_ms + kCheckMs;
  for (std::size_t i = 0; i < members_.size(); ++i) start(i, now_ms);
}

void RoleGroup::start(std::size_t i, std::uint64_t now_ms) {
  Member& member = members_[i];
  member.start_at_ms = kNever;
  member.started_ms = now_ms;
  member.ready_ms = 0;
  member.last_beat_ms = slot(i).heartbeat_ms.load();
  member.has_beaten = false;
  member.still_checks = 0;
  if (member.begun) slot(i).restarts.fetch_add(1);
  member.begun = true;
  set_state(i, RoleState::starting);
  auto child = spawn_(static_cast<state::Role>(i));
  if (!child) {
    member.last_error = child.error().text();
    ++member.early_deaths;
    log_error("{}", member.last_error);
    start_later(i, now_ms);
    return;
  }
  member.child.emplace(child.take());
  slot(i).pid.store(member.child->pid());
  log_info("{} started, pid {}", name_of(i), member.child->pid());
}

void RoleGroup::watch(PollSet& polls) const {
  for (const Member& member : members_) {
    if (member.child) member.child->watch(polls);
  }
}

void RoleGroup::handle(const PollSet& polls, std::uint64_t now_ms) {
  const bool check = now_ms >= next_check_ms_;
  if (check) next_check_ms_ = now_ms + kCheckMs;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.child) {
      if (member.child->take_ready(polls)) {
        member.ready_ms = now_ms;
        member.early_deaths = 0;
        member.backoff.reset();
        set_state(i, RoleState::ready);
        log_info("{} is ready", name_of(i));
      }
      if (check) check_heartbeat(i);
      member.child->kill_if_due(now_ms);
      if (const auto exit_code = member.child->try_reap(polls)) died(i, *exit_code, now_ms);
    }
    if (!member.child && now_ms >= member.start_at_ms) start(i, now_ms);
  }
}

void RoleGroup::died(std::size_t i, int exit_code, std::uint64_t now_ms) {
  Member& member = members_[i];
  member.child.reset();
  slot(i).pid.store(0);
  slot(i).last_exit.store(exit_code);
  if (leaving_) {
    set_state(i, RoleState::stopped);
    log_info("{} has left ({})", name_of(i), exit_code);
    return;
  }
  if (member.asked) {
    member.asked = false;
    member.start_at_ms = now_ms;
    log_info("{} has left ({}), to be started again", name_of(i), exit_code);
    return;
  }
  member.last_error = "it ended with " + std::to_string(exit_code);
  if (member.ready_ms == 0) {
    ++member.early_deaths;
    member.last_error += " before it was ready";
  }
  if (exit_code == kExitPermanent) {
    set_state(i, RoleState::failed);
    log_error(
        "{} says that starting it again can't help; see its log, then `supervisor restart {}`",
        name_of(i), name_of(i));
    return;
  }
  log_warning("{} ended with {}", name_of(i), exit_code);
  bereaved_ = true;
  start_later(i, now_ms);
}

void RoleGroup::start_later(std::size_t i, std::uint64_t now_ms) {
  Member& member = members_[i];
  const std::uint64_t wait_ms =
      member.ready_ms != 0 ? member.deaths.take(now_ms) : member.backoff.next_ms();
  member.start_at_ms = now_ms + wait_ms;
  set_state(i, RoleState::backoff);
  if (wait_ms > 0) log_info("{} is started again in {} ms", name_of(i), wait_ms);
}

void RoleGroup::check_heartbeat(std::size_t i) {
  Member& member = members_[i];
  const std::uint64_t beat = slot(i).heartbeat_ms.load();
  if (beat != member.last_beat_ms) {
    member.last_beat_ms = beat;
    member.has_beaten = true;
    member.still_checks = 0;
    return;
  }
  const unsigned limit = member.has_beaten ? kStillChecks : kFirstBeatChecks;
  if (member.child->leaving() || ++member.still_checks < limit) return;
  log_error("{} stands still: killed, to be started again", name_of(i));
  member.child->kill();
}

std::uint64_t RoleGroup::next_due_ms() const {
  std::uint64_t next = all_gone() ? kNever : next_check_ms_;
  for (const Member& member : members_) {
    next = std::min(next, member.child ? member.child->next_due_ms() : member.start_at_ms);
  }
  return next;
}

bool RoleGroup::all_ready() const {
  return std::ranges::all_of(members_, [](const Member& member) {
    return member.child && !member.child->leaving() && member.ready_ms != 0;
  });
}

std::optional<std::string> RoleGroup::fault() const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const bool failed = slot(i).state.load() == RoleState::failed;
    if (failed || members_[i].early_deaths >= kManyEarlyDeaths) {
      return std::string{name_of(i)} + ": " + members_[i].last_error;
    }
  }
  return std::nullopt;
}

void RoleGroup::restart(state::Role role, std::uint64_t now_ms) {
  if (leaving_) return;
  Member& member = members_[index(role)];
  member.backoff.reset();
  member.deaths = kDeathAllowance;
  member.early_deaths = 0;
  if (member.child) {
    member.asked = true;
    member.child->ask_to_leave(now_ms + kLeaveMs);
  } else {
    member.start_at_ms = now_ms;
    set_state(index(role), RoleState::starting);
  }
}

std::optional<std::string> RoleGroup::restarted(state::Role role) const {
  const Member& member = members_[index(role)];
  const std::string name = name_of(index(role));
  if (leaving_) return name + ": the instance is being stopped";
  if (slot(index(role)).state.load() == RoleState::failed || member.early_deaths > 1) {
    return name + ": " + member.last_error;
  }
  if (member.child && !member.asked && member.ready_ms != 0) return "";
  return std::nullopt;
}

void RoleGroup::leave(std::uint64_t now_ms) {
  leaving_ = true;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    member.start_at_ms = kNever;
    if (member.child) {
      member.child->ask_to_leave(now_ms + kLeaveMs);
    } else {
      set_state(i, RoleState::stopped);
    }
  }
}

bool RoleGroup::all_gone() const {
  return std::ranges::none_of(members_,
                              [](const Member& member) { return member.child.has_value(); });
}

RoleGroup::Report RoleGroup::report(state::Role role, std::uint64_t now_ms) const {
  const std::size_t i = index(role);
  const Member& member = members_[i];
  return {slot(i).state.load(), slot(i).pid.load(), member.child ? now_ms - member.started_ms : 0};
}

}  // namespace lefting::supervisor
