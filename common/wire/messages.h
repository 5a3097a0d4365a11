#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/wire/error.h"

namespace lefting::wire {

inline constexpr std::uint64_t kProtocol = 1;
inline constexpr std::uint64_t kMaxBlockLength = 16777216;

enum class Operation { hello, news, get_file };
std::string_view to_text(Operation operation);

enum class Encoding { identity, zstd };

/// `index` of hello and news: the list holds the changes (from, to] of index `id`.
struct IndexRange {
  IndexId id = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool operator==(const IndexRange&) const = default;
};
/// `seen` of hello and news: the last of the receiver's changes that the sender has stored.
struct Seen {
  IndexId id = 0;
  std::uint64_t to = 0;    ///< what is after it the sender wants to hear
  std::uint64_t most = 0;  ///< said where it asks anew, and had stored up to there before
  std::uint64_t furthest() const { return std::max(to, most); }
  bool operator==(const Seen&) const = default;
};

/// What hello and news say beside their list, as request and as reply.
struct Greeting {
  std::uint64_t protocol = kProtocol;
  std::optional<DeviceId> device;
  std::string name;        ///< at most 255 bytes; longer is cut by the decoder
  std::uint16_t port = 0;  ///< 0: the peer doesn't listen
  std::optional<IndexRange> index;
  std::optional<Seen> seen;
  bool more = false;
  Encoding encoding = Encoding::identity;
  std::uint64_t raw_size = 0;  ///< of the list before compression, where zstd; 0: not said
  bool accepts_zstd = false;   ///< `accept` has "zstd": lists to this peer may be compressed
  bool operator==(const Greeting&) const = default;
};

enum class Part { block, manifest, entry, have };

struct GetFile {
  std::string path;
  Part part = Part::block;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  ///< 1 to kMaxBlockLength, for a block
  std::optional<ContentHash> hash;
  bool accepts_zstd = false;
  std::uint64_t first = 0;  ///< manifest: block index
  std::uint64_t count = 0;  ///< manifest: 0 is all
  /// Of the version that is wanted. have: of it; block: a partial file of it will do.
  std::optional<VersionCounter> stamp = {};
  bool operator==(const GetFile&) const = default;
};

/// A request's header. `greeting` for hello and news, `file` for get_file.
struct Request {
  Operation operation = Operation::hello;
  std::optional<std::int64_t> id;
  Greeting greeting;
  GetFile file;
};

/// Most paths that a reply's `rejected` names.
inline constexpr std::size_t kMaxRejected = 100;

/// A path of a list that was not taken, and why.
struct Rejected {
  std::string path;
  std::string error;
  bool operator==(const Rejected&) const = default;
};

/// A reply's header. Which fields matter follows from the operation.
struct Reply {
  std::string operation;  ///< what it answers; may be empty in an error
  std::optional<std::int64_t> id;
  std::optional<Code> error;  ///< nothing: "status":"ok"
  std::string message;        ///< of an error, for people
  std::uint64_t retry_after_ms = 0;
  std::optional<Entry> entry;      ///< changed, and part:entry
  Greeting greeting;               ///< hello, news
  std::vector<Rejected> rejected;  ///< at most 100
  std::uint64_t offset = 0;        ///< get_file
  std::uint64_t size = 0;          ///< of the whole file
  std::int64_t mtime_ns = 0;
  std::optional<ContentHash> hash;
  Encoding encoding = Encoding::identity;
  std::uint64_t raw_size = 0;
  std::uint64_t blocks = 0;  ///< manifest: how many the file has
  std::uint64_t first = 0;   ///< manifest: index of the first one in the data
  std::string cut;           ///< manifest: name of the cut rule; empty: this is no manifest
  std::vector<Basis> bases;       ///< manifest: at most kMostBases
  std::uint64_t block_bytes = 0;  ///< have: of each block in the bitmap; 0: this is no have
};

/// A request that can't be carried out, and what of it can still be repeated in the reply.
struct BadRequest {
  Code code = Code::bad_request;
  std::string message;
  std::string operation;  ///< as it came, if it was a short text
  std::optional<std::int64_t> id;
  /// True for bad_frame: the connection must be closed after the reply. (A frame that is too large
  /// never gets here; a too_large of this kind is a wish beyond a limit, and harms no framing.)
  bool fatal() const { return code == Code::bad_frame; }
};

/// Never nested deeper than this in what we accept; what the protocol needs is 4.
inline constexpr int kMaxJsonDepth = 16;

/// Reads a request's header. Unknown fields are ignored.
std::variant<Request, BadRequest> decode_request(std::string_view header);
std::string encode_request(const Request& request);

/// Errors: bad_frame where it is no reply.
Result<Reply> decode_reply(std::string_view header);
/// Fits a frame: of `rejected` only as much is written as there is room for.
std::string encode_reply(const Reply& reply);
/// The reply to a request that failed.
Reply error_reply(const BadRequest& bad);
Reply error_reply(const Request& request, Code code, std::string message);

/// Why a path must not be taken from the wire or listed; nothing if it may be.
/// Source: docs/PROTOCOL.md, "File entry". Names ending in `.lefting` are refused too.
std::optional<std::string> path_fault(std::string_view path);

}  // namespace lefting::wire
