#include "common/wire/messages.h"

#include <array>
#include <utility>

#include "common/wire/message_parts.h"

namespace lefting::wire {

namespace {

constexpr std::array<std::pair<Operation, std::string_view>, 3> kOperations{{
    {Operation::hello, "hello"},
    {Operation::news, "news"},
    {Operation::get_file, "get_file"},
}};
/// An operation's name is repeated in an error up to this length.
constexpr std::size_t kMaxEchoBytes = 64;

std::optional<Operation> parse_operation(std::string_view text) {
  for (const auto& [operation, name] : kOperations) {
    if (name == text) return operation;
  }
  return std::nullopt;
}

/// hello and news: what the answering side can't do without.
Greeting take_request_greeting(Fields& fields) {
  Greeting greeting = take_greeting(fields);
  if (!fields.number("protocol")) fields.missing("protocol");
  if (greeting.protocol != kProtocol) {
    fields.fail(Code::bad_request, "protocol is not 1, which is what this peer speaks");
  }
  if (!greeting.device) fields.missing("device");
  return greeting;
}

BadRequest bad_request(const Fields::Failure& failure, std::string operation,
                       std::optional<std::int64_t> id) {
  return {failure.code, failure.message, std::move(operation), id};
}

}  // namespace

std::string_view to_text(Operation operation) {
  for (const auto& [known, name] : kOperations) {
    if (known == operation) return name;
  }
  LEFTING_ASSERT(false);
}

std::variant<Request, BadRequest> decode_request(std::string_view header) {
  rapidjson::Document document;
  if (auto fault = parse_header(header, document)) {
    return BadRequest{Code::bad_frame, std::move(*fault), {}, {}};
  }
  Fields fields{document};
  Request request;
  request.id = fields.integer("id");
  const auto name = fields.text("operation");
  const std::string echo{name && name->size() <= kMaxEchoBytes ? *name : ""};
  if (!name) fields.missing("operation");
  if (fields.failure()) return bad_request(*fields.failure(), echo, request.id);
  const auto operation = parse_operation(*name);
  if (!operation) {
    return BadRequest{Code::unknown_operation, "operations are hello, news and get_file", echo,
                      request.id};
  }
  request.operation = *operation;
  if (*operation == Operation::get_file) {
    request.file = take_get_file(fields);
  } else {
    request.greeting = take_request_greeting(fields);
  }
  if (fields.failure()) return bad_request(*fields.failure(), echo, request.id);
  return request;
}

std::string encode_request(const Request& request) {
  std::string text;
  TextSink sink{text};
  JsonWriter writer{sink};
  writer.StartObject();
  put_text(writer, "operation", to_text(request.operation));
  if (request.id) put_signed(writer, "id", *request.id);
  if (request.operation == Operation::get_file) {
    put_get_file(writer, request.file);
  } else {
    put_greeting(writer, request.greeting);
  }
  writer.EndObject();
  return text;
}

Reply error_reply(const BadRequest& bad) {
  Reply reply;
  reply.operation = bad.operation;
  reply.id = bad.id;
  reply.error = bad.code;
  reply.message = bad.message;
  return reply;
}

Reply error_reply(const Request& request, Code code, std::string message) {
  return error_reply(
      BadRequest{code, std::move(message), std::string{to_text(request.operation)}, request.id});
}

}  // namespace lefting::wire
