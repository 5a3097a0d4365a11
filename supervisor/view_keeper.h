#pragma once

#include <memory>
#include <optional>
#include <string>

#include "supervisor/view.h"

namespace lefting::supervisor {

/// A view of an instance that is started, stopped or killed meanwhile.
class ViewKeeper {
 public:
  explicit ViewKeeper(InstancePaths paths) : paths_{std::move(paths)} {}

  /// The instance as it is now, at least as its store has it. Valid until the next call.
  /// Throws StoreError; what is asked then begins anew.
  View& look();
  /// What there is to say of it in a few words: "running for 3 s, pid 17".
  const std::string& state() const { return state_; }

 private:
  bool look_again();
  bool attach();
  void look_at_rest();
  milliseconds wait() const;

  InstancePaths paths_;
  std::optional<ControlClient> call_;  ///< to a supervisor that has not answered yet
  std::unique_ptr<View> view_;
  std::string refusal_;  ///< why there is none, though a supervisor runs
  bool silent_ = false;  ///< the supervisor didn't answer the last time
  std::string ended_;    ///< when the instance was seen to end, for people
  std::string state_;
};

}  // namespace lefting::supervisor
