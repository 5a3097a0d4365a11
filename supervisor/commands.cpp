#include "supervisor/commands.h"

#include <cstdio>

#include "common/base/log.h"
#include "common/base/os.h"
#include "common/net/identity.h"
#include "supervisor/control_client.h"
#include "supervisor/dump_json.h"
#include "supervisor/dump_tables.h"
#include "supervisor/human.h"
#include "supervisor/peer_store.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

namespace {

/// The roles get 5 s to leave; beyond this the supervisor itself hangs.
constexpr milliseconds kStopWait{30000};

/// Asks the supervisor for something that has no answer but that it is done.
int ask(const InstancePaths& paths, const ControlRequest& request) {
  auto control = ControlClient::connect(paths);
  if (!control) return fail(control.error());
  if (!control.value()) return not_running(paths);
  const auto answer = control.value()->ask(request, std::nullopt);
  return answer ? kToolDone : fail(answer.error());
}

/// What the segment says of the peer in a slot; a peer without words where there is none.
state::PeerView view_of(const std::vector<state::PeerView>& peers, int slot) {
  for (const state::PeerView& view : peers) {
    if (view.peer.slot == slot) return view;
  }
  state::PeerView none;
  none.peer.slot = slot;
  none.reason = "it was removed";
  return none;
}

}  // namespace

int fail(const Error& error) {
  std::fprintf(stderr, "supervisor: %s\n", printable(error.text()).c_str());
  return kToolFailed;
}

int not_running(const InstancePaths& paths) {
  std::fprintf(stderr, "supervisor: no instance runs in %s; `supervisor start` starts it\n",
               printable(paths.dir).c_str());
  return kToolNotRunning;
}

void say_trouble(View& view) {
  const std::string trouble = view.take_trouble();
  if (trouble.empty()) return;
  std::fprintf(stderr, "%s; that part is shown as the store has it\n", printable(trouble).c_str());
}

int stop_command(const InstancePaths& paths) {
  auto control = ControlClient::connect(paths);
  if (!control) return fail(control.error());
  if (!control.value()) return not_running(paths);
  const UniqueFd process = open_pidfd(control.value()->pid());
  const auto answer =
      control.value()->ask({.operation = "stop", .roles = {}, .slots = {}}, kStopWait);
  if (!process) return answer ? kToolDone : fail(answer.error());
  // It may have died without an answer; what counts is that it is gone.
  pollfd end{process.get(), POLLIN, 0};
  const Deadline deadline = deadline_in(answer ? kStopWait : milliseconds{0});
  while (poll_fds({&end, 1}, poll_timeout(deadline)) == 0) {
    if (poll_timeout(deadline) > 0) continue;
    if (!answer) return fail(answer.error());
    return fail(plain_error("stop", "the supervisor does not end",
                            "kill process " + std::to_string(control.value()->pid())));
  }
  return kToolDone;
}

int status_command(const InstancePaths& paths, bool json) {
  if (!instance_exists(paths)) return not_running(paths);
  auto opened = View::open(paths);
  if (!opened) return fail(opened.error());
  View& view = *opened.value();
  if (!view.live()) return not_running(paths);
  if (json) {
    write_summary_json(stdout, view);
  } else {
    for (const std::string& line : summary_lines(view)) std::puts(line.c_str());
    std::puts("");
    for (const std::string& line : role_lines(view)) std::puts(line.c_str());
  }
  say_trouble(view);
  return kToolDone;
}

int restart_command(const InstancePaths& paths, const std::vector<std::string>& roles) {
  return ask(paths, {.operation = "restart", .roles = roles, .slots = {}});
}

int rescan_command(const InstancePaths& paths) {
  return ask(paths, {.operation = "rescan", .roles = {}, .slots = {}});
}

int deletes_command(const InstancePaths& paths, bool approve) {
  if (!instance_exists(paths)) return not_running(paths);
  auto opened = View::open(paths);
  if (!opened) return fail(opened.error());
  if (!opened.value()->live()) return not_running(paths);
  state::ScanWords& words = state::scan_words(opened.value()->attached()->segment);
  const std::uint64_t held = words.held.load();
  if (held == 0) {
    return fail(plain_error("deletes", "nothing is held back", "see `supervisor status`"));
  }
  // The traversal that is asked for begins with it.
  words.verdict.store(approve ? state::Verdict::approve : state::Verdict::restore);
  const int done = rescan_command(paths);
  if (done != kToolDone) return done;
  std::printf(approve ? "%s approved\n" : "%s given up; the files are fetched again\n",
              counted(held, "deletion").c_str());
  return kToolDone;
}

int hello_command(const InstancePaths& paths, const std::string& peer) {
  if (!instance_exists(paths)) return not_running(paths);
  auto opened = View::open(paths);
  if (!opened) return fail(opened.error());
  View& view = *opened.value();
  if (!view.live()) return not_running(paths);
  ControlRequest request{.operation = "hello", .roles = {}, .slots = {}};
  if (!peer.empty()) {
    store::Store store{paths.store(), store::Access::read};
    const auto named = named_peer(store, peer);
    if (!named) return fail(named.error());
    request.slots.push_back(named.value().slot);
  }
  const auto answer = view.attached()->control.ask(request, std::nullopt);
  if (!answer) return fail(answer.error());
  int result = kToolDone;
  const auto peers = view.peers();
  for (const HelloOutcome& hello : answer.value().reply.hellos) {
    const state::PeerView one = view_of(peers, hello.slot);
    if (hello.said) {
      std::printf("%s: hello said\n", peer_title(one.peer).c_str());
      continue;
    }
    const std::string reason = one.reason.empty() ? "see `supervisor logs hello`" : one.reason;
    result = fail(plain_error("hello to " + peer_title(one.peer), reason));
  }
  return result;
}

int id_command(const InstancePaths& paths) {
  if (auto made = make_instance_folder(paths); !made) return fail(made.error());
  const auto identity = net::Identity::open(paths.key(), paths.certificate());
  if (!identity) return fail(identity.error());
  std::puts(to_text(identity.value().device()).c_str());
  return kToolDone;
}

}  // namespace lefting::supervisor
