#include <limits>

#include "common/wire/message_parts.h"

namespace lefting::wire {

namespace {

constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();

Part take_part(Fields& fields) {
  const auto text = fields.text("part").value_or("block");
  if (text == "manifest") return Part::manifest;
  if (text == "entry") return Part::entry;
  if (text == "have") return Part::have;
  if (text != "block") fields.wrong("part", "manifest, entry, have or block");
  return Part::block;
}

void take_block(Fields& fields, GetFile& file) {
  file.offset = fields.number("offset").value_or(0);
  const auto length = fields.number("length");
  if (!length) return fields.missing("length");
  if (*length == 0) return fields.wrong("length", "1 or more");
  if (*length > kMaxBlockLength) {
    return fields.fail(Code::too_large, "length is at most 16777216");
  }
  // Beyond any file, and offset + length must not wrap around.
  if (file.offset > kMaxOffset) {
    return fields.fail(Code::out_of_range, "offset is beyond any file's end");
  }
  file.length = *length;
}

/// The device and counter of the greatest counter of a version.
std::optional<VersionCounter> take_stamp(Fields& fields) {
  const auto* object = fields.object("stamp");
  if (object == nullptr) return std::nullopt;
  if (object->MemberCount() != 1) {
    fields.wrong("stamp", "one counter");
    return std::nullopt;
  }
  const auto& name = object->MemberBegin()->name;
  const auto device = parse_short_id({name.GetString(), name.GetStringLength()});
  Fields counters{*object};
  const auto counter = device ? counters.number(name.GetString(), kMaxCounter) : std::nullopt;
  if (counter && *counter != 0) return VersionCounter{*device, *counter};
  fields.wrong("stamp", "a device of 8 characters and its counter");
  return std::nullopt;
}

}  // namespace

void put_get_file(JsonWriter& writer, const GetFile& file) {
  put_path(writer, file.path);
  if (file.part == Part::block) {
    put_unsigned(writer, "offset", file.offset);
    put_unsigned(writer, "length", file.length);
  }
  if (file.part == Part::manifest) {
    put_text(writer, "part", "manifest");
    put_unsigned(writer, "first", file.first);
    if (file.count != 0) put_unsigned(writer, "count", file.count);
  }
  if (file.part == Part::entry) put_text(writer, "part", "entry");
  if (file.part == Part::have) put_text(writer, "part", "have");
  if (file.stamp) {
    put_key(writer, "stamp");
    writer.StartObject();
    put_unsigned(writer, to_text(file.stamp->device), file.stamp->counter);
    writer.EndObject();
  }
  if (file.hash) put_hash(writer, *file.hash);
  if (file.accepts_zstd) put_accept(writer);
}

GetFile take_get_file(Fields& fields) {
  GetFile file;
  auto path = fields.path();
  if (!path) fields.missing("path");
  file.part = take_part(fields);
  file.hash = fields.hash();
  file.accepts_zstd = fields.lists("accept", "zstd");
  file.stamp = take_stamp(fields);
  if (file.part == Part::block) take_block(fields, file);
  if (file.part == Part::have && !file.stamp) fields.missing("stamp");
  if (file.part == Part::manifest) {
    file.first = fields.number("first").value_or(0);
    file.count = fields.number("count").value_or(0);
  }
  if (!path) return file;
  if (const auto fault = path_fault(*path)) fields.fail(Code::bad_path, *fault);
  file.path = std::move(*path);
  return file;
}

}  // namespace lefting::wire
