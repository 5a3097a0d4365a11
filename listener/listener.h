#pragma once

#include <list>
#include <memory>
#include <thread>

#include "common/role/role.h"
#include "common/share/share.h"
#include "listener/session.h"

namespace lefting::listener {

/// Accepts connections and gives each a thread, at most `max_connections` of them. One thread
/// runs it.
class Listener {
 public:
  Listener(RoleContext& context, UniqueFd socket, share::Share share);
  ~Listener();

  /// Works until the context says stop.
  void run();

 private:
  struct Worker;
  void accept_one();
  void reap();

  RoleContext& context_;
  UniqueFd socket_;
  share::Share share_;
  Desk desk_;
  EventFd ended_;  // a session's thread is done
  std::list<std::unique_ptr<Worker>> workers_;
};

}  // namespace lefting::listener
