#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/wire/error.h"

namespace lefting::wire {

inline constexpr std::size_t kPreambleBytes = 8;
inline constexpr std::uint32_t kMinHeaderBytes = 2;
inline constexpr std::uint32_t kMaxHeaderBytes = 65536;
inline constexpr std::uint32_t kMaxDataBytes = 16777216;

/// The sizes at the front of a frame, in bytes.
struct FrameSizes {
  std::uint32_t header = 0;
  std::uint32_t data = 0;
};

/// Reads the 8 bytes before the header.
/// Errors    bad_frame, too_large: answer with that code, then close the connection.
/// Source    docs/PROTOCOL.md, "Frame".
Result<FrameSizes> decode_sizes(std::span<const std::byte, kPreambleBytes> bytes);
/// Sizes must be within the limits (LEFTING_ASSERT: they are ours).
std::array<std::byte, kPreambleBytes> encode_sizes(FrameSizes sizes);

/// A frame inside somebody else's bytes.
struct Frame {
  std::string_view header;
  std::span<const std::byte> data;
};

/// Takes one whole frame off the front of `bytes`.
///
/// `bytes`   what has arrived so far: any number of frames, the last perhaps cut short.
/// Returns   the frame, inside those bytes; nothing while it isn't all here, `bytes` untouched.
/// Errors    bad_frame, too_large: answer with that code, then close the connection.
/// Source    docs/PROTOCOL.md, "Frame".
Result<std::optional<Frame>> take_frame(std::span<const std::byte>& bytes);

/// The whole frame as bytes; for frames whose data is small.
std::vector<std::byte> encode_frame(std::string_view header, std::span<const std::byte> data = {});

}  // namespace lefting::wire
