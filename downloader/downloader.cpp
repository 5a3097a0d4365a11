#include "downloader/downloader.h"

#include <sys/resource.h>

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"

namespace lefting::downloader {

namespace {

constexpr std::size_t kMostBatchTickets = 1024;
constexpr std::uint64_t kWorthTidying = 10'000;
/// A file of this size or more is a batch of its own.
constexpr std::uint64_t kBatchBytes = 8u << 20;
/// A file of a batch holds itself and its folder open.
constexpr std::size_t kFdsATicket = 2;
/// The heartbeat must come every 10 s.
constexpr milliseconds kLongestWait{8000};

/// Batches may hold half of the files that this process may have open.
std::size_t batch_tickets(std::uint64_t downloads) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = 1024;
  const std::uint64_t each = files.rlim_cur / 2 / downloads / kFdsATicket;
  return std::clamp<std::uint64_t>(each, 1, kMostBatchTickets);
}

}  // namespace

Downloader::Downloader(RoleContext& context, share::Share share)
    : context_{context},
      instance_{context.instance()},
      share_{std::move(share)},
      trash_{share_},
      purger_{instance_, share_},
      batch_tickets_{batch_tickets(instance_.settings.downloads)} {
  instance_.tickets.requeue_all();
  for (std::uint64_t i = 0; i < instance_.settings.downloads; ++i) {
    workers_.emplace_back([this] { work(); });
  }
}

Downloader::~Downloader() {
  {
    const std::lock_guard lock{mutex_};
    leave_ = true;
  }
  changed_.notify_all();
}

void Downloader::run() {
  try {
    hand_out_until_stopped();
  } catch (const std::exception& error) {
    // The workers may be waiting for peers, and for them the destructor.
    RoleContext::leave_if_hopeless(error);
    throw;
  }
}

void Downloader::hand_out_until_stopped() {
  context_.ready();
  while (!context_.stopping()) {
    context_.beat();
    {
      const std::lock_guard lock{mutex_};
      if (!failure_.empty()) throw std::runtime_error{failure_};
    }
    notice_online();
    if (!hand_out()) wait_for_work();
  }
}

/// Tickets that waited for a peer go on when it is online, whoever has found that out.
void Downloader::notice_online() {
  const std::uint64_t online = instance_.peers.online_mask();
  const std::uint64_t known = online_.exchange(online);
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    if (((online & ~known) >> slot & 1) != 0) instance_.tickets.requeue_sources(slot);
  }
}

bool Downloader::hand_out() {
  {
    const std::lock_guard lock{mutex_};
    if (idle_ == 0 || next_batch_) return false;
  }
  auto tickets = take_free(instance_.tickets.checkout(batch_tickets_, kBatchBytes, monotonic_ms()));
  if (tickets.empty()) {
    tidy_up();
    return false;
  }
  handed_out_ += tickets.size();
  {
    const std::lock_guard lock{mutex_};
    next_batch_ = std::move(tickets);
  }
  changed_.notify_one();
  return true;
}

/// After much was done nothing is left: what it has left behind in memory goes.
void Downloader::tidy_up() {
  if (handed_out_ < kWorthTidying) return;
  {
    const std::lock_guard lock{mutex_};
    if (!busy_paths_.empty()) return;
  }
  handed_out_ = 0;
  context_.beat();
  instance_.dictionary.compact();
}

std::vector<state::TicketView> Downloader::take_free(std::vector<state::TicketView> tickets) {
  std::vector<state::TicketView> free;
  const std::lock_guard lock{mutex_};
  for (state::TicketView& view : tickets) {
    if (busy_paths_.insert(view.ticket.wanted.path).second) {
      free.push_back(std::move(view));
    } else {
      parked_.push_back(std::move(view));
    }
  }
  return free;
}

void Downloader::wait_for_work() {
  Deadline until = deadline_in(kLongestWait);
  bool can_take = false;
  {
    const std::lock_guard lock{mutex_};
    can_take = idle_ > 0 && !next_batch_;
  }
  if (const auto retry = can_take ? instance_.tickets.next_retry() : std::nullopt) {
    const std::uint64_t now = monotonic_ms();
    const std::uint64_t left = *retry > now ? *retry - now : 0;
    until = std::min(until, deadline_in(milliseconds{std::min<std::uint64_t>(left, 8000)}));
  }
  std::array<pollfd, 3> fds = {
      pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = instance_.wakes.downloader.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = worker_free_.fd(), .events = POLLIN, .revents = 0}};
  poll_fds(fds, poll_timeout(until));
  instance_.wakes.downloader.drain();
  worker_free_.drain();
}

void Downloader::release(const std::vector<std::string>& paths) {
  const std::lock_guard lock{mutex_};
  for (const std::string& path : paths) busy_paths_.erase(path);
  std::erase_if(parked_, [&](const state::TicketView& view) {
    const Entry& wanted = view.ticket.wanted;
    if (busy_paths_.contains(wanted.path)) return false;
    instance_.tickets.give_back(wanted.path, view.ticket.id);
    return true;
  });
}

void Downloader::work() {
  Sources sources{context_};
  share::IgnoreFile ignore{share_};
  try {
    for (;;) {
      std::vector<state::TicketView> tickets;
      {
        std::unique_lock lock{mutex_};
        ++idle_;
        worker_free_.signal();
        changed_.wait(lock, [&] { return leave_ || next_batch_; });
        --idle_;
        if (leave_) return;
        tickets = std::move(*next_batch_);
        next_batch_.reset();
        worker_free_.signal();  // room for the next worker's batch
      }
      std::vector<std::string> paths;
      for (const auto& view : tickets) paths.push_back(view.ticket.wanted.path);
      Batch batch{context_, share_, ignore, sources, relists_, trash_};
      // One of them may have come back since the tickets were put off: looked at once more.
      online_.fetch_and(~batch.run(std::move(tickets)));
      release(paths);
    }
  } catch (const std::exception& error) {
    RoleContext::leave_if_hopeless(error);
    // The whole role starts afresh: its tickets are queued again then.
    const std::lock_guard lock{mutex_};
    failure_ = error.what();
    worker_free_.signal();
  }
}

}  // namespace lefting::downloader
