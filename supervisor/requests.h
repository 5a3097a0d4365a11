#pragma once

#include <cstdint>
#include <functional>

#include "supervisor/control_server.h"
#include "supervisor/group.h"
#include "supervisor/hellos.h"
#include "supervisor/prepare.h"

namespace lefting::supervisor {

/// Carries out what comes through the control socket. Waits for nothing: what takes time becomes
/// a PendingAnswer.
class Requests {
 public:
  /// All must outlive it. `stop` begins the stop of the instance.
  Requests(Prepared& instance, RoleGroup& roles, HelloRunner& hellos, std::function<void()> stop);

  PendingAnswer handle(const ControlRequest& request);

  /// The stop has begun / has ended: what still waits gets its answer.
  void set_stopping() { stopping_ = true; }
  void set_stopped() { stopped_ = true; }

 private:
  PendingAnswer status(const ControlRequest& request);
  PendingAnswer stop();
  PendingAnswer restart(const ControlRequest& request);
  PendingAnswer rescan();
  PendingAnswer hello(const ControlRequest& request);
  InstanceReport report() const;

  Prepared& instance_;
  RoleGroup& roles_;
  HelloRunner& hellos_;
  std::function<void()> stop_;
  std::uint64_t started_ms_;
  bool stopping_ = false;
  bool stopped_ = false;
};

}  // namespace lefting::supervisor
