#include "common/wire/frame.h"

#include <string>

#include "common/base/assert.h"

namespace lefting::wire {

namespace {

std::uint32_t load_big_endian(std::span<const std::byte, 4> bytes) {
  std::uint32_t value = 0;
  for (const std::byte b : bytes) value = value << 8 | std::to_integer<std::uint32_t>(b);
  return value;
}

void store_big_endian(std::span<std::byte, 4> bytes, std::uint32_t value) {
  for (std::size_t i = 4; i-- > 0; value >>= 8) bytes[i] = static_cast<std::byte>(value & 0xff);
}

Error size_error(Code code, std::string what) {
  return {make_error_code(code), "read frame", {}, std::move(what)};
}

}  // namespace

Result<FrameSizes> decode_sizes(std::span<const std::byte, kPreambleBytes> bytes) {
  const FrameSizes sizes{load_big_endian(bytes.first<4>()), load_big_endian(bytes.last<4>())};
  if (sizes.header < kMinHeaderBytes) {
    return size_error(Code::bad_frame, "a header has at least 2 bytes");
  }
  if (sizes.header > kMaxHeaderBytes) {
    return size_error(Code::too_large, "a header has at most 65536 bytes");
  }
  if (sizes.data > kMaxDataBytes) {
    return size_error(Code::too_large, "a frame's data has at most 16777216 bytes");
  }
  return sizes;
}

std::array<std::byte, kPreambleBytes> encode_sizes(FrameSizes sizes) {
  LEFTING_ASSERT(sizes.header >= kMinHeaderBytes && sizes.header <= kMaxHeaderBytes);
  LEFTING_ASSERT(sizes.data <= kMaxDataBytes);
  std::array<std::byte, kPreambleBytes> bytes;
  store_big_endian(std::span{bytes}.first<4>(), sizes.header);
  store_big_endian(std::span{bytes}.last<4>(), sizes.data);
  return bytes;
}

Result<std::optional<Frame>> take_frame(std::span<const std::byte>& bytes) {
  if (bytes.size() < kPreambleBytes) return std::optional<Frame>{};
  const auto sizes = decode_sizes(bytes.first<kPreambleBytes>());
  if (!sizes) return sizes.error();
  const std::size_t header = sizes.value().header;
  const std::size_t data = sizes.value().data;
  if (bytes.size() - kPreambleBytes < header + data) return std::optional<Frame>{};
  const auto* text = reinterpret_cast<const char*>(bytes.data() + kPreambleBytes);
  const Frame frame{{text, header}, bytes.subspan(kPreambleBytes + header, data)};
  bytes = bytes.subspan(kPreambleBytes + header + data);
  return std::optional{frame};
}

std::vector<std::byte> encode_frame(std::string_view header, std::span<const std::byte> data) {
  LEFTING_ASSERT(header.size() <= kMaxHeaderBytes && data.size() <= kMaxDataBytes);
  const auto sizes = encode_sizes(
      {static_cast<std::uint32_t>(header.size()), static_cast<std::uint32_t>(data.size())});
  const auto text = std::as_bytes(std::span{header});
  std::vector<std::byte> frame;
  frame.reserve(sizes.size() + text.size() + data.size());
  frame.insert(frame.end(), sizes.begin(), sizes.end());
  frame.insert(frame.end(), text.begin(), text.end());
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

}  // namespace lefting::wire
