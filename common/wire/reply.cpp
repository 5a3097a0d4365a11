#include "common/wire/entry_reader.h"
#include "common/wire/frame.h"
#include "common/wire/message_parts.h"

namespace lefting::wire {

namespace {

constexpr std::size_t kMaxMessageBytes = 1024;  // as much as anyone reads

void put_rejected(JsonWriter& writer, const std::vector<Rejected>& rejected,
                  const std::string& written) {
  put_key(writer, "rejected");
  writer.StartArray();
  std::size_t count = 0;
  for (const Rejected& one : rejected) {
    std::string text;
    TextSink sink{text};
    JsonWriter item{sink};
    item.StartObject();
    put_text(item, "path", readable(one.path, kMaxRejectedPathBytes));
    put_text(item, "error", readable(one.error, kMaxMessageBytes));
    item.EndObject();
    const std::size_t rest = 3;  // a comma and what closes the list and the header
    if (++count > kMaxRejected || written.size() + text.size() + rest > kMaxHeaderBytes) break;
    writer.RawValue(text.data(), text.size(), rapidjson::kObjectType);
  }
  writer.EndArray();
}

void put_bases(JsonWriter& writer, const std::vector<Basis>& bases) {
  put_key(writer, "bases");
  writer.StartArray();
  for (const Basis& basis : bases) {
    writer.StartObject();
    put_hash(writer, basis.hash);
    put_unsigned(writer, "size", basis.size);
    put_signed(writer, "mtime", basis.mtime_ns);
    writer.EndObject();
  }
  writer.EndArray();
}

void put_file_fields(JsonWriter& writer, const Reply& reply) {
  if (reply.entry) return;  // part:entry says no more than that
  if (reply.hash) put_hash(writer, *reply.hash);
  if (reply.block_bytes != 0) {
    put_unsigned(writer, "size", reply.size);
    put_unsigned(writer, "block", reply.block_bytes);
  } else if (reply.cut.empty()) {
    put_unsigned(writer, "offset", reply.offset);
    put_unsigned(writer, "size", reply.size);
    put_signed(writer, "mtime", reply.mtime_ns);
  } else {
    put_unsigned(writer, "blocks", reply.blocks);
    put_unsigned(writer, "first", reply.first);
    put_text(writer, "cut", reply.cut);
    if (!reply.bases.empty()) put_bases(writer, reply.bases);
  }
  if (reply.encoding != Encoding::identity) put_encoding(writer, reply.encoding, reply.raw_size);
}

void put_error(JsonWriter& writer, const Reply& reply) {
  put_text(writer, "error", to_text(*reply.error));
  put_text(writer, "message", readable(reply.message, kMaxMessageBytes));
  if (reply.retry_after_ms != 0) put_unsigned(writer, "retry_after_ms", reply.retry_after_ms);
}

void take_status(Fields& fields, Reply& reply) {
  const auto status = fields.text("status");
  if (!status) return fields.missing("status");
  if (*status == "ok") return;
  if (*status != "error") return fields.wrong("status", "ok or error");
  // A code of a later version is still an error.
  reply.error = parse_code(fields.text("error").value_or("")).value_or(Code::internal);
  reply.message = fields.text("message").value_or("");
  reply.retry_after_ms = fields.number("retry_after_ms").value_or(0);
}

void take_entry(Fields& fields, Reply& reply) {
  const auto* object = fields.object("entry");
  if (object == nullptr) return;
  auto entry = read_entry(*object);
  if (!entry) return fields.fail(Code::bad_frame, "entry: " + entry.error().advice);
  reply.entry = entry.take();
}

void take_rejected(Fields& fields, Reply& reply) {
  const auto* list = fields.array("rejected");
  if (list == nullptr) return;
  for (const auto& item : list->GetArray()) {
    if (reply.rejected.size() >= kMaxRejected || !item.IsObject()) break;
    Fields inner{item};
    const auto path = inner.text("path").value_or("");
    const auto error = inner.text("error").value_or("");
    reply.rejected.push_back({std::string{path}, std::string{error}});
  }
}

/// They are a hint: an object that is no basis is passed over.
void take_bases(Fields& fields, Reply& reply) {
  const auto* list = fields.array("bases");
  if (list == nullptr) return;
  for (const auto& item : list->GetArray()) {
    if (reply.bases.size() >= kMostBases) break;
    if (!item.IsObject()) continue;
    Fields inner{item};
    const auto hash = inner.hash();
    const auto size = inner.number("size");
    const auto mtime_ns = inner.integer("mtime");
    if (hash && size && mtime_ns) reply.bases.push_back({*hash, *size, *mtime_ns});
  }
}

void take_file_fields(Fields& fields, Reply& reply) {
  reply.offset = fields.number("offset").value_or(0);
  reply.size = fields.number("size").value_or(0);
  reply.mtime_ns = fields.integer("mtime").value_or(0);
  reply.hash = fields.hash();
  reply.encoding = take_encoding(fields, reply.raw_size);
  reply.blocks = fields.number("blocks").value_or(0);
  reply.first = fields.number("first").value_or(0);
  reply.cut = fields.text("cut").value_or("");
  take_bases(fields, reply);
  reply.block_bytes = fields.number("block").value_or(0);
}

Error no_reply(std::string why) {
  return {make_error_code(Code::bad_frame), "read the reply", {}, std::move(why)};
}

}  // namespace

std::string encode_reply(const Reply& reply) {
  std::string text;
  TextSink sink{text};
  JsonWriter writer{sink};
  writer.StartObject();
  put_text(writer, "reply", readable(reply.operation, kMaxMessageBytes));
  if (reply.id) put_signed(writer, "id", *reply.id);
  put_text(writer, "status", reply.error ? "error" : "ok");
  if (reply.error) {
    put_error(writer, reply);
  } else if (reply.operation == to_text(Operation::get_file)) {
    put_file_fields(writer, reply);
  } else if (reply.operation == to_text(Operation::hello)) {
    put_greeting(writer, reply.greeting);
  } else if (reply.greeting.seen) {
    put_seen(writer, *reply.greeting.seen);
  }
  if (reply.entry) {
    put_key(writer, "entry");
    put_entry(writer, *reply.entry);
  }
  if (!reply.rejected.empty()) put_rejected(writer, reply.rejected, text);
  writer.EndObject();
  return text;
}

Result<Reply> decode_reply(std::string_view header) {
  rapidjson::Document document;
  if (auto fault = parse_header(header, document)) return no_reply(std::move(*fault));
  Fields fields{document};
  Reply reply;
  reply.operation = fields.text("reply").value_or("");
  reply.id = fields.integer("id");
  take_status(fields, reply);
  take_entry(fields, reply);
  take_rejected(fields, reply);
  if (!reply.error && reply.operation == to_text(Operation::get_file)) {
    take_file_fields(fields, reply);
  } else if (!reply.error) {
    reply.greeting = take_greeting(fields);
  }
  if (const auto& failure = fields.failure()) return no_reply(failure->message);
  return reply;
}

}  // namespace lefting::wire
