#include "supervisor/control_messages.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>

namespace lefting::supervisor {

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;
using rapidjson::Value;

void put(Writer& writer, const char* key, std::string_view text) {
  writer.Key(key);
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}
void put(Writer& writer, const char* key, std::uint64_t number) {
  writer.Key(key);
  writer.Uint64(number);
}

/// One JSON object; parsed without recursion, so that no nesting can use up the stack.
std::optional<rapidjson::Document> parse_object(std::string_view text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError() || !document.IsObject()) return std::nullopt;
  return document;
}

/// A field of an object, if it is there.
const Value* find(const Value& object, const char* key) {
  const auto member = object.FindMember(key);
  return member == object.MemberEnd() ? nullptr : &member->value;
}
std::string text_of(const Value& object, const char* key) {
  const Value* value = find(object, key);
  if (value == nullptr || !value->IsString()) return {};
  return {value->GetString(), value->GetStringLength()};
}
std::uint64_t number_of(const Value& object, const char* key) {
  const Value* value = find(object, key);
  return value != nullptr && value->IsUint64() ? value->GetUint64() : 0;
}
bool flag_of(const Value& object, const char* key) {
  const Value* value = find(object, key);
  return value != nullptr && value->IsBool() && value->GetBool();
}
/// Calls `take` for each element of an array field.
template <class Take>
void for_each_in(const Value& object, const char* key, Take&& take) {
  const Value* list = find(object, key);
  if (list == nullptr || !list->IsArray()) return;
  for (const Value& element : list->GetArray()) take(element);
}

void write_instance(Writer& writer, const InstanceReport& instance) {
  writer.Key("instance");
  writer.StartObject();
  put(writer, "pid", static_cast<std::uint64_t>(instance.pid));
  put(writer, "generation", instance.generation);
  put(writer, "uptime_ms", instance.uptime_ms);
  put(writer, "device", instance.device);
  put(writer, "name", instance.name);
  put(writer, "share", instance.share);
  put(writer, "listen", instance.listen);
  writer.Key("plain");
  writer.Bool(instance.plain);
  writer.Key("roles");
  writer.StartArray();
  for (const auto& role : instance.roles) {
    writer.StartObject();
    put(writer, "role", role.role);
    put(writer, "state", role.state);
    put(writer, "pid", static_cast<std::uint64_t>(role.pid));
    put(writer, "uptime_ms", role.uptime_ms);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
}

InstanceReport read_instance(const Value& object) {
  InstanceReport out;
  out.pid = static_cast<std::int64_t>(number_of(object, "pid"));
  out.generation = number_of(object, "generation");
  out.uptime_ms = number_of(object, "uptime_ms");
  out.device = text_of(object, "device");
  out.name = text_of(object, "name");
  out.share = text_of(object, "share");
  out.listen = text_of(object, "listen");
  out.plain = flag_of(object, "plain");
  for_each_in(object, "roles", [&](const Value& role) {
    if (!role.IsObject()) return;
    out.roles.push_back({text_of(role, "role"), text_of(role, "state"),
                         static_cast<std::int64_t>(number_of(role, "pid")),
                         number_of(role, "uptime_ms")});
  });
  return out;
}

}  // namespace

std::string encode_request(const ControlRequest& request) {
  rapidjson::StringBuffer buffer;
  Writer writer{buffer};
  writer.StartObject();
  put(writer, "operation", request.operation);
  writer.Key("roles");
  writer.StartArray();
  for (const std::string& role : request.roles) writer.String(role.c_str());
  writer.EndArray();
  writer.Key("slots");
  writer.StartArray();
  for (const int slot : request.slots) writer.Int(slot);
  writer.EndArray();
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

Result<ControlRequest> decode_request(std::string_view header) {
  const auto document = parse_object(header);
  ControlRequest out;
  if (document) out.operation = text_of(*document, "operation");
  if (out.operation.empty()) {
    return plain_error("control request", "it is no JSON object with an operation");
  }
  bool good = true;
  for_each_in(*document, "roles", [&](const Value& role) {
    good = good && role.IsString();
    if (good) out.roles.emplace_back(role.GetString(), role.GetStringLength());
  });
  for_each_in(*document, "slots", [&](const Value& slot) {
    good = good && slot.IsInt();
    if (good) out.slots.push_back(slot.GetInt());
  });
  if (!good) return plain_error("control request", "roles must be texts, slots numbers");
  return out;
}

std::string encode_reply(const ControlReply& reply) {
  rapidjson::StringBuffer buffer;
  Writer writer{buffer};
  writer.StartObject();
  put(writer, "reply", reply.operation);
  put(writer, "status", reply.error.empty() ? "ok" : "error");
  if (!reply.error.empty()) {
    put(writer, "error", "failed");
    put(writer, "message", reply.error);
  }
  if (reply.instance.pid != 0) write_instance(writer, reply.instance);
  writer.Key("hellos");
  writer.StartArray();
  for (const HelloOutcome& hello : reply.hellos) {
    writer.StartObject();
    writer.Key("slot");
    writer.Int(hello.slot);
    writer.Key("said");
    writer.Bool(hello.said);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

Result<ControlReply> decode_reply(std::string_view header) {
  const auto document = parse_object(header);
  const std::string status = document ? text_of(*document, "status") : "";
  if (status != "ok" && status != "error") {
    return plain_error("control reply", "it is no JSON object with a status");
  }
  ControlReply out;
  out.operation = text_of(*document, "reply");
  if (status == "error") {
    out.error = text_of(*document, "message");
    if (out.error.empty()) out.error = "failed";
  }
  if (const Value* instance = find(*document, "instance"); instance && instance->IsObject()) {
    out.instance = read_instance(*instance);
  }
  for_each_in(*document, "hellos", [&](const Value& hello) {
    if (!hello.IsObject()) return;
    const Value* slot = find(hello, "slot");
    if (slot == nullptr || !slot->IsInt()) return;
    out.hellos.push_back({slot->GetInt(), flag_of(hello, "said")});
  });
  return out;
}

}  // namespace lefting::supervisor
