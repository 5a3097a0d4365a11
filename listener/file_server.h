#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/connection.h"
#include "common/role/role.h"
#include "common/share/share.h"
#include "common/wire/messages.h"
#include "listener/new_records.h"

namespace lefting::listener {

/// Of a block's data, in bytes, what is read and looked at before it is sent, at its beginning and
/// at its end.
inline constexpr std::size_t kPieceBytes = 64u << 10;
/// Larger blocks are sent as they are, even to who takes compressed ones.
inline constexpr std::size_t kCompressedBytes = 1u << 20;

/// A reply's header and the first piece of its data.
struct Answer {
  wire::Reply reply;
  std::vector<std::byte> data;
  std::uint64_t rest_bytes = 0;  ///< of the data, beyond the first piece
};

/// One to be filled.
Answer answer_to(const wire::Request& request);
Answer refuse(const wire::Request& request, wire::Code code, std::string message);
/// Whether that is the version of which a request has the stamp.
bool is_of(const Entry& entry, const VersionCounter& stamp);

/// Answers get_file for one connection. Keeps the file that was asked for last open.
class FileServer {
 public:
  /// All must outlive it.
  FileServer(Instance& instance, const share::Share& share, NewRecords& new_records);

  /// Source: docs/PROTOCOL.md, "get_file".
  Answer answer(const wire::Request& request);
  /// Sends the rest of the answer's data. Errors: the connection's; or the file has changed, and
  /// the reply has not been ended.
  Status send_rest(net::Connection& connection, const Answer& answer);

 private:
  Answer answer_block(const wire::Request& request);
  /// Reads the first piece of the open file, as `serving_` says it is.
  Answer begin_block(const wire::Request& request, const std::optional<Record>& record);
  /// Of a version that is still on its way to here. Nothing: that is not so.
  std::optional<Answer> answer_partial(const wire::Request& request);
  Answer answer_have(const wire::Request& request);
  Answer answer_manifest(const wire::Request& request);
  /// Waits for what is not hashed yet.
  Answer answer_entry(const wire::Request& request);
  /// Whether a file stands there that the scanner has not recorded.
  bool is_unrecorded(const std::string& path, const std::optional<Record>& record) const;
  /// What is there now, for `changed`: the record, or what the disk says of an unrecorded file.
  Answer changed(const wire::Request& request, const std::optional<Record>& record,
                 const std::optional<share::FileStat>& stat) const;
  /// Reads, and checks that the file is still what it was: bytes of two versions are never mixed.
  Status read_piece(std::span<std::byte> into, std::uint64_t offset) const;
  /// Opens `path`, or takes the descriptor of the last request for it.
  Result<int> open(const std::string& path);

  Instance& instance_;
  const share::Share& share_;
  NewRecords& new_records_;
  std::string open_path_;
  UniqueFd open_fd_;
  share::FileStat serving_;  ///< what the file was when the answer began
  std::uint64_t at_ = 0;     ///< where the rest of the answer's data begins
  std::vector<std::byte> piece_;
};

}  // namespace lefting::listener
