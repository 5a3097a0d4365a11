#pragma once

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

#include "common/role/role.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

/// An instance with an empty share, and no supervisor.
class InstanceFixture {
 public:
  InstanceFixture() {
    std::filesystem::create_directory(folder / "share");
    settings.share = folder / "share";
    settings.plain = true;
    settings.name = "test";
    paths.dir = folder.path();
  }

  /// As the program of `role` does.
  std::unique_ptr<Instance> attach(state::Role role) {
    auto opened = open_instance(
        paths, settings, UniqueFd{::dup(segment_.fd())},
        {.scanner = duplicate(wakes.scanner),
         .listener = duplicate(wakes.listener),
         .downloader = duplicate(wakes.downloader),
         .supervisor = duplicate(wakes.supervisor)},
        [role](state::Segment & segment) -> auto& { return state::role_inflight(segment, role); });
    if (!opened) throw std::runtime_error{opened.error().text()};
    return opened.take();
  }

  TempFolder folder;
  Settings settings;
  InstancePaths paths;
  Wakes wakes;

 private:
  static EventFd duplicate(const EventFd& event) { return EventFd{UniqueFd{::dup(event.fd())}}; }

  state::Segment segment_{state::Segment::create(256u << 20)};
};

}  // namespace lefting::test
