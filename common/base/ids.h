#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lefting {

/// The first 8 characters of a device ID: how a version vector names a device.
struct ShortId {
  std::uint64_t packed = 0;  ///< the 8 characters, big-endian, so that order is text order
  auto operator<=>(const ShortId&) const = default;
};

/// SHA-256 of a peer's public key (SubjectPublicKeyInfo, DER).
struct DeviceId {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const DeviceId&) const = default;
};

/// Chosen at random when an index is created: a rebuilt index is another one. 0 is none.
using IndexId = std::uint64_t;

int hex_digit(char c);  ///< its value; -1: it is no lower-case hex digit
std::string to_hex(std::span<const std::uint8_t> bytes);
std::string to_text(const DeviceId& device);  ///< 13 groups of 4 joined by '-'
/// Takes 52 characters of base32 in either case, with or without the '-'.
std::optional<DeviceId> parse_device_id(std::string_view text);
ShortId short_id(const DeviceId& device);
std::string to_text(ShortId id);  ///< 8 characters
/// Takes exactly 8 characters of A-Z, 2-7.
std::optional<ShortId> parse_short_id(std::string_view text);
std::string index_text(IndexId id);  ///< 16 hex digits
std::optional<IndexId> parse_index_id(std::string_view text);

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
/// True if `text` is well-formed UTF-8: what a JSON string can hold.
bool is_utf8(std::string_view text);

}  // namespace lefting
