#include "supervisor/view_keeper.h"

#include <fmt/core.h>

#include "common/base/log.h"
#include "supervisor/human.h"

namespace lefting::supervisor {

namespace {

constexpr milliseconds kWait{1000};
/// For one that didn't answer the last time: whoever watches wants the next frame.
constexpr milliseconds kShortWait{50};

std::string running(const InstanceReport& instance) {
  return fmt::format("running for {}, pid {}", human_duration(instance.uptime_ms), instance.pid);
}

}  // namespace

View& ViewKeeper::look() {
  try {
    if (!look_again() && !attach()) look_at_rest();
  } catch (...) {
    view_.reset();
    throw;
  }
  return *view_;
}

milliseconds ViewKeeper::wait() const { return silent_ ? kShortWait : kWait; }

/// By way of the segment that is mapped already. False: there is none, or its instance has ended.
bool ViewKeeper::look_again() {
  if (!view_ || !view_->live()) return false;
  const auto contact = view_->refresh(wait());
  silent_ = contact == View::Contact::silent;
  if (contact == View::Contact::ended) {
    ended_ = human_time(static_cast<std::int64_t>(wall_ms()) * 1'000'000);
    view_.reset();
    return false;
  }
  state_ = silent_ ? fmt::format("supervisor (pid {}): it doesn't answer", view_->instance().pid)
                   : running(view_->instance());
  return true;
}

/// By way of a supervisor, if one runs and answers.
bool ViewKeeper::attach() {
  refusal_.clear();
  if (!call_) {
    auto made = ControlClient::connect(paths_);
    if (!made) refusal_ = made.error().text();
    if (made) call_ = made.take();
  }
  if (!call_) return false;
  auto attached = View::attach(paths_, call_, store::Access::look, wait());
  if (attached) {
    view_ = attached.take();
    silent_ = false;
    state_ = running(view_->instance());
    return true;
  }
  refusal_ = attached.error().text();
  silent_ = call_->may_answer();
  if (!silent_) call_.reset();
  return false;
}

void ViewKeeper::look_at_rest() {
  if (!view_ || !view_->has_store()) view_ = View::open_store(paths_);
  if (!refusal_.empty()) {
    state_ = "what the store has, since " + printable(refusal_);
  } else if (!view_->has_store()) {
    state_ = "never started";
  } else if (ended_.empty()) {
    state_ = "not running; what the store has";
  } else {
    state_ = fmt::format("not running, it ended at {}; what the store has", ended_);
  }
}

}  // namespace lefting::supervisor
