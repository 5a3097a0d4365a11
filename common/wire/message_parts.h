#pragma once

// The parts that request and reply headers are made of; for the .cpp files of this room.

#include "common/wire/json.h"
#include "common/wire/messages.h"

namespace lefting::wire {

/// The fields of hello and news, into the object that `writer` is in.
void put_greeting(JsonWriter& writer, const Greeting& greeting);
void put_seen(JsonWriter& writer, const Seen& seen);
/// Takes what is there; which fields are needed is the caller's to check.
Greeting take_greeting(Fields& fields);

void put_get_file(JsonWriter& writer, const GetFile& file);
/// Fails `fields` with bad_request, bad_path, too_large or out_of_range.
GetFile take_get_file(Fields& fields);

/// `encoding`, and `raw_size` where it is zstd.
void put_encoding(JsonWriter& writer, Encoding encoding, std::uint64_t raw_size);
Encoding take_encoding(Fields& fields, std::uint64_t& raw_size);
/// `accept`: zstd.
void put_accept(JsonWriter& writer);

}  // namespace lefting::wire
