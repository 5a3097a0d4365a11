#include "supervisor/loop.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <bit>
#include <random>
#include <stdexcept>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/store.h"
#include "supervisor/control_socket.h"
#include "supervisor/log_files.h"

namespace lefting::supervisor {

namespace {

/// An unreachable peer doesn't hold up the start for longer, in ms.
constexpr std::uint64_t kFirstHellosMs = 10000;

/// For the parts of the segment of which only lock-free words are read here.
[[noreturn]] void refuse() {
  throw std::logic_error("the supervisor takes no lock in the segment");
}
constexpr auto kNeverLoaded = [](auto&&...) { refuse(); };

state::Dictionary::Backing no_backing() {
  return {.load = kNeverLoaded,
          .find = [](std::string_view) -> std::optional<Record> { refuse(); }};
}

sigset_t stop_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  return signals;
}

UniqueFd open_signals() {
  const sigset_t signals = stop_signals();
  UniqueFd fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

/// A stopped instance is one file less to copy.
void settle_store(const std::string& path) {
  try {
    store::fold_log(path);
  } catch (const store::StoreError& error) {
    log_warning("{}; its -wal stays, and belongs to it", error.what());
  }
}

}  // namespace

void block_stop_signals() {
  const sigset_t signals = stop_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
}

Supervisor::Supervisor(Prepared prepared, bool foreground, Report report)
    : prepared_{std::move(prepared)},
      report_{std::move(report)},
      dictionary_{prepared_.segment, no_backing()},
      tickets_{prepared_.segment, kNeverLoaded},
      peers_{prepared_.segment, kNeverLoaded},
      roles_{prepared_.segment, [this](state::Role role) { return spawn_role(role); }},
      hellos_{peers_, [this](int slot) { return spawn_hello(slot); }, std::random_device{}()},
      requests_{prepared_, roles_, hellos_, [this] { begin_stop(); }},
      control_{std::move(prepared_.control),
               [this](const ControlRequest& request) { return requests_.handle(request); }},
      signals_{open_signals()} {
  if (foreground) status_line_.emplace(prepared_.segment, dictionary_, tickets_, peers_);
}

int Supervisor::run() {
  log_info("lefting {}: share {}, listening on {}, device {}", LEFTING_VERSION,
           printable(prepared_.settings.share), prepared_.settings.listen, prepared_.device);
  roles_.start_all(monotonic_ms());
  while (!stopping_ || !roles_.all_gone() || !hellos_.all_gone()) turn();
  settle_store(prepared_.paths.store());
  remove_control(prepared_.paths);
  requests_.set_stopped();
  control_.settle();
  log_info("stopped");
  if (!reported_) end_start(false, "stopped while it was starting");
  return exit_code_;
}

void Supervisor::turn() {
  polls_.clear();
  polls_.watch(signals_.get(), POLLIN);
  polls_.watch(prepared_.wakes.supervisor.fd(), POLLIN);
  control_.watch(polls_);
  roles_.watch(polls_);
  hellos_.watch(polls_);
  polls_.wait(timeout_ms(monotonic_ms()));

  const std::uint64_t now_ms = monotonic_ms();
  take_signals();
  prepared_.wakes.supervisor.drain();
  roles_.handle(polls_, now_ms);
  hellos_.handle(polls_, now_ms);
  tell_of_deaths();
  if (!reported_ && !stopping_) advance_start(now_ms);
  control_.handle(polls_, now_ms);
  if (status_line_ && reported_) status_line_->show_if_due(now_ms);
}

/// The dead may have changed something and not told those who wait for it.
void Supervisor::tell_of_deaths() {
  const bool role_died = roles_.take_bereaved();
  const bool hello_died = hellos_.take_bereaved();
  if (!role_died && !hello_died) return;
  prepared_.wakes.scanner.signal();
  prepared_.wakes.listener.signal();
  prepared_.wakes.downloader.signal();
}

int Supervisor::timeout_ms(std::uint64_t now_ms) const {
  std::uint64_t due_ms = std::min(roles_.next_due_ms(), hellos_.next_due_ms());
  if (!reported_) due_ms = std::min(due_ms, start_ends_ms_);
  if (status_line_ && reported_) due_ms = std::min(due_ms, status_line_->next_due_ms());
  if (due_ms <= now_ms) return 0;
  constexpr std::uint64_t kLongestMs = 1u << 30;
  return due_ms >= kNever - 1 ? -1 : static_cast<int>(std::min(due_ms - now_ms, kLongestMs));
}

void Supervisor::take_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    log_info("signal {}: stopping", signal.ssi_signo);
    begin_stop();
  }
}

void Supervisor::advance_start(std::uint64_t now_ms) {
  if (const auto fault = roles_.fault()) {
    exit_code_ = 1;
    const std::string role = fault->substr(0, fault->find(':'));
    const std::string last = last_log_line(prepared_.paths, role);
    end_start(false,
              *fault + (last.empty() ? "; see `supervisor logs`" : "; its log ends with: " + last));
    begin_stop();
    return;
  }
  if (!hellos_begun_ && roles_.all_ready()) {
    hellos_begun_ = true;
    start_ends_ms_ = now_ms + kFirstHellosMs;
    hellos_.begin(now_ms);
  }
  if (!hellos_begun_) return;
  if (!hellos_.first_round_done() && now_ms < start_ends_ms_) return;
  end_start(true,
            fmt::format("running: share {}, listening on {}, {}/{} peers online",
                        printable(prepared_.settings.share), prepared_.settings.listen,
                        std::popcount(peers_.online_mask()), std::popcount(peers_.used_mask())));
}

void Supervisor::end_start(bool good, const std::string& how) {
  const std::string line = prepared_.note.empty() ? how : how + "\nsupervisor: " + prepared_.note;
  reported_ = true;
  if (!good) exit_code_ = 1;
  if (good) {
    log_info("{}", how);
  } else {
    log_error("{}", how);
  }
  report_(good, line);
}

void Supervisor::begin_stop() {
  if (stopping_) return;
  stopping_ = true;
  requests_.set_stopping();
  const std::uint64_t now_ms = monotonic_ms();
  roles_.leave(now_ms);
  hellos_.leave(now_ms);
}

ChildPlan Supervisor::plan(const std::string& program,
                           std::vector<std::string> first_arguments) const {
  std::vector<std::string> arguments = std::move(first_arguments);
  arguments.insert(arguments.end(), {"--state", prepared_.paths.dir});
  for (std::string& flag : setting_flags(prepared_.settings)) {
    arguments.push_back(std::move(flag));
  }
  return {.program = prepared_.programs + "/" + program,
          .arguments = std::move(arguments),
          .generation = prepared_.segment.generation().value,
          .segment = prepared_.segment.fd(),
          .wake_scanner = prepared_.wakes.scanner.fd(),
          .wake_listener = prepared_.wakes.listener.fd(),
          .wake_downloader = prepared_.wakes.downloader.fd(),
          .wake_supervisor = prepared_.wakes.supervisor.fd(),
          .lock = prepared_.lock.get()};
}

Result<Child> Supervisor::spawn_role(state::Role role) {
  const std::string name{state::kRoleNames[static_cast<std::size_t>(role)]};
  ChildPlan role_plan = plan(name, {name});
  if (role == state::Role::listener) role_plan.listen = prepared_.listening.get();
  return Child::spawn(role_plan);
}

Result<Child> Supervisor::spawn_hello(int slot) {
  return Child::spawn(
      plan("supervisor", {"supervisor", "hello", "--inherited", std::to_string(slot)}));
}

}  // namespace lefting::supervisor
