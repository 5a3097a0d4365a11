#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/net/connection.h"
#include "common/wire/messages.h"
#include "downloader/worksite.h"

namespace lefting::downloader {

/// Fetches the missing blocks of some jobs over one connection. Requests go out ahead of their
/// replies, across files, so that no round trip is waited for.
class Pipeline {
 public:
  enum class From {
    source,  ///< a peer that has the whole file
    member,  ///< one that is fetching it too: what it refuses is no fault of the job's
  };

  Pipeline(Worksite& site, net::Connection& connection, bool compress, From from = From::source);

  /// Asks for the blocks of the job's content. Nothing where the source can't say, or cuts by
  /// another rule. Errors: the connection's.
  Result<std::optional<Manifest>> fetch_manifest(const Job& job);
  /// Asks for the hash of content that was announced without, and waits until the source has it.
  /// Nothing where it has none to give, or another version: then the job is put off.
  /// Errors: the connection's.
  Result<std::optional<ContentHash>> fetch_hash(Job& job);
  /// Asks which blocks of the job's version are there: bit B, block B. Empty: it is not being
  /// fetched there, or in other blocks. Errors: the connection's.
  Result<std::vector<std::uint8_t>> fetch_have(const Job& job);
  /// Fetches until each job is whole or can't go on (it is put off then), but begins no further one
  /// after kLongestFetch: what is here is not to wait for all that a slow link has still to bring.
  /// Errors: the connection's; jobs that are not whole stay in Stage::fetch.
  Status fetch(const std::vector<Job*>& jobs);
  /// True if fetch() left some for that reason.
  bool left_some() const { return left_some_; }
  /// The job is fetched over other connections too, each by a thread of its own: what is done with
  /// it, or asked of it, is done with this mutex held. Null: it is not.
  void share_job(std::mutex* turn) { turn_ = turn; }
  /// Fetches blocks of a job until `next` names none and all that it named have come, or not; tells
  /// `came` of each that has. Both are called with the mutex held. Errors: the connection's.
  using Next = std::function<std::optional<std::uint64_t>()>;
  using Came = std::function<void(std::uint64_t block)>;
  Status fetch_each(Job& job, const Next& next, const Came& came);

 private:
  /// A piece that was asked for.
  struct Sent {
    Job* job;
    std::uint64_t offset;
    std::uint64_t length;
    std::size_t request_bytes = 0;
  };
  /// What is on its way, in bytes.
  struct Window {
    std::uint64_t content = 0;
    std::size_t requests = 0;
  };

  /// What may be on its way.
  Window window() const;
  static wire::Request request_for(const Job& job, wire::Part part);
  milliseconds reply_wait() const;
  /// Opens the first of what is to be fetched.
  void open_some(std::span<Job* const> jobs);
  bool next_request(const std::vector<Job*>& jobs);
  /// Asks for the first piece of a block that is not here; request_rest() for the others. False:
  /// there is none, or the job is given up.
  bool request_block(Job& job, std::uint64_t block);
  bool request_rest();
  std::unique_lock<std::mutex> take_turn() const;
  bool next_missing(Job& job);
  Status exchange_all(const std::function<bool()>& next);
  /// Asks for more where much of what was asked for has come: many requests at once.
  Status ask(const std::function<bool()>& next, const Window& most);
  /// The frame that asks for the last of sent_, which is on its way from now on.
  std::vector<std::byte> encode_next();
  Status receive_one();
  Status take_block(const Sent& sent, const wire::Reply& reply, std::uint32_t data_bytes);
  /// Reads data of the reply into the buffer, unpacked. Nothing: it is not what was asked for.
  Result<std::span<const std::byte>> read_block(const Sent& sent, const wire::Reply& reply,
                                                std::uint32_t data_bytes);
  /// A reply up to its data, and their size. Errors also: they are more than `most_bytes`.
  Result<std::pair<wire::Reply, std::uint32_t>> begin_reply(std::uint64_t most_bytes);
  /// Sends a request that nothing else is on its way beside, and reads its reply.
  Result<std::pair<wire::Reply, std::vector<std::byte>>> exchange(const wire::Request& request);
  /// A reply without what was asked for.
  void refuse(Job& job, const wire::Reply& reply) const;
  /// Where data of the reply is read to: where it is content, from where it will be written.
  std::span<std::byte> room_for(const Sent& sent, const wire::Reply& reply, std::size_t bytes);
  void take_bytes(const Sent& sent, std::span<const std::byte> bytes);

  Worksite& site_;
  net::Connection& connection_;
  bool compress_;
  From from_;
  std::deque<Sent> sent_;
  /// What is still to be asked for of a block, up to `end`.
  struct {
    Job* job = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
  } rest_;
  Window out_;  ///< asked for and not here yet
  std::size_t at_job_ = 0;
  Deadline enough_{};
  bool left_some_ = false;
  std::uint64_t at_block_ = 0;     ///< or piece of a delta
  std::vector<std::uint8_t> had_;  ///< what was done of that job before
  std::vector<std::byte> buffer_;
  std::string unpacked_;
  std::mutex* turn_ = nullptr;  ///< see share_job()
  Came came_;                   ///< of fetch_each()
};

}  // namespace lefting::downloader
