#include "supervisor/schedule.h"

#include <algorithm>

namespace lefting::supervisor {

namespace {
constexpr std::uint64_t kRefusedWaitMs = 60000;
}

HelloSchedule::Phase HelloSchedule::phase_of(const PeerMasks& masks, int slot) {
  const std::uint64_t bit = std::uint64_t{1} << slot;
  if ((masks.used & bit) == 0) return Phase::unused;
  if ((masks.online & bit) != 0) return Phase::online;
  return (masks.refused & bit) != 0 ? Phase::refused : Phase::offline;
}

std::uint64_t HelloSchedule::jitter(std::uint64_t wait_ms) {
  return wait_ms - std::uniform_int_distribution<std::uint64_t>{0, wait_ms / 5}(random_);
}

void HelloSchedule::observe(const PeerMasks& masks, std::uint64_t now_ms) {
  for (int i = 0; i < kMaxPeers; ++i) {
    Slot& slot = slots_[static_cast<std::size_t>(i)];
    const Phase phase = phase_of(masks, i);
    if (phase != slot.phase) enter(slot, phase, now_ms);
  }
}

void HelloSchedule::enter(Slot& slot, Phase phase, std::uint64_t now_ms) {
  const Phase before = slot.phase;
  slot.phase = phase;
  if (phase == Phase::unused || phase == Phase::online) {
    slot.due_ms = kNever;
    slot.backoff.reset();
  } else if (phase == Phase::refused) {
    slot.due_ms = now_ms + jitter(kRefusedWaitMs);
  } else {
    slot.due_ms = before == Phase::unused ? now_ms : now_ms + jitter(slot.backoff.next_ms());
  }
}

void HelloSchedule::ask(int slot, std::uint64_t due_ms) {
  slots_[static_cast<std::size_t>(slot)].due_ms = due_ms;
}

std::optional<int> HelloSchedule::take_due(std::uint64_t now_ms) {
  for (int i = 0; i < kMaxPeers; ++i) {
    Slot& slot = slots_[static_cast<std::size_t>(i)];
    if (slot.running || slot.phase == Phase::unused || slot.due_ms > now_ms) continue;
    slot.running = true;
    slot.due_ms = kNever;
    return i;
  }
  return std::nullopt;
}

void HelloSchedule::ended(int index, std::uint64_t now_ms) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  slot.running = false;
  slot.due_ms = kNever;
  // Even after a hello that went well: a peer that is not online by now is called again later.
  if (slot.phase == Phase::offline) slot.due_ms = now_ms + jitter(slot.backoff.next_ms());
  if (slot.phase == Phase::refused) slot.due_ms = now_ms + jitter(kRefusedWaitMs);
}

std::uint64_t HelloSchedule::next_due_ms() const {
  std::uint64_t next = kNever;
  for (const Slot& slot : slots_) {
    if (!slot.running && slot.phase != Phase::unused) next = std::min(next, slot.due_ms);
  }
  return next;
}

}  // namespace lefting::supervisor
