#include "common/wire/message_parts.h"

namespace lefting::wire {

namespace {

constexpr std::size_t kMaxNameBytes = 255;

std::optional<IndexId> parse_index(std::string_view text) {
  const auto id = parse_index_id(text);
  return id == IndexId{0} ? std::nullopt : id;  // 0 is none, here and in the store
}

/// Hands a failure within the object `key` on to the fields around it.
void hand_on(const Fields& inner, const char* key, Fields& outer) {
  if (const auto& failure = inner.failure()) {
    outer.fail(failure->code, std::string{key} + "." + failure->message);
  }
}

std::optional<IndexRange> take_index(Fields& fields) {
  const auto* object = fields.object("index");
  if (object == nullptr) return std::nullopt;
  Fields inner{*object};
  const auto id = inner.parsed("id", "16 hex digits", parse_index);
  const auto from = inner.number("from");
  const auto to = inner.number("to");
  if (!id) inner.missing("id");
  if (!from) inner.missing("from");
  if (!to) inner.missing("to");
  if (from && to && *from > *to) inner.wrong("to", "at or after from");
  hand_on(inner, "index", fields);
  if (inner.failure()) return std::nullopt;
  return IndexRange{*id, *from, *to};
}

std::optional<Seen> take_seen(Fields& fields) {
  const auto* object = fields.object("seen");
  if (object == nullptr) return std::nullopt;
  Fields inner{*object};
  const auto id = inner.parsed("id", "16 hex digits", parse_index);
  const auto to = inner.number("to");
  const auto most = inner.number("most");
  if (!id) inner.missing("id");
  if (!to) inner.missing("to");
  hand_on(inner, "seen", fields);
  if (inner.failure()) return std::nullopt;
  return Seen{*id, *to, most.value_or(0)};
}

}  // namespace

void put_encoding(JsonWriter& writer, Encoding encoding, std::uint64_t raw_size) {
  put_text(writer, "encoding", encoding == Encoding::zstd ? "zstd" : "identity");
  if (encoding == Encoding::zstd) put_unsigned(writer, "raw_size", raw_size);
}

Encoding take_encoding(Fields& fields, std::uint64_t& raw_size) {
  const auto text = fields.text("encoding").value_or("identity");
  if (text == "zstd") {
    raw_size = fields.number("raw_size").value_or(0);
    return Encoding::zstd;
  }
  if (text != "identity") fields.wrong("encoding", "identity or zstd");
  return Encoding::identity;
}

void put_accept(JsonWriter& writer) {
  put_key(writer, "accept");
  writer.StartArray();
  writer.String("zstd");
  writer.EndArray();
}

void put_seen(JsonWriter& writer, const Seen& seen) {
  put_key(writer, "seen");
  writer.StartObject();
  put_text(writer, "id", index_text(seen.id));
  put_unsigned(writer, "to", seen.to);
  if (seen.most > seen.to) put_unsigned(writer, "most", seen.most);
  writer.EndObject();
}

void put_greeting(JsonWriter& writer, const Greeting& greeting) {
  put_unsigned(writer, "protocol", greeting.protocol);
  if (greeting.device) put_text(writer, "device", to_text(*greeting.device));
  put_text(writer, "name", readable(greeting.name, kMaxNameBytes));
  put_unsigned(writer, "port", greeting.port);
  if (greeting.index) {
    put_key(writer, "index");
    writer.StartObject();
    put_text(writer, "id", index_text(greeting.index->id));
    put_unsigned(writer, "from", greeting.index->from);
    put_unsigned(writer, "to", greeting.index->to);
    writer.EndObject();
  }
  if (greeting.seen) put_seen(writer, *greeting.seen);
  put_flag(writer, "more", greeting.more);
  put_encoding(writer, greeting.encoding, greeting.raw_size);
  if (greeting.accepts_zstd) put_accept(writer);
}

Greeting take_greeting(Fields& fields) {
  Greeting greeting;
  greeting.protocol = fields.number("protocol").value_or(kProtocol);
  greeting.device = fields.parsed("device", "a device ID", parse_device_id);
  greeting.name = cut_text(fields.text("name").value_or(""), kMaxNameBytes);
  greeting.port = static_cast<std::uint16_t>(fields.number("port", 65535).value_or(0));
  greeting.index = take_index(fields);
  greeting.seen = take_seen(fields);
  greeting.more = fields.flag("more");
  greeting.encoding = take_encoding(fields, greeting.raw_size);
  greeting.accepts_zstd = fields.lists("accept", "zstd");
  return greeting;
}

}  // namespace lefting::wire
