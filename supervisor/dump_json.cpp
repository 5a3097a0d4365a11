#include "supervisor/dump_json.h"

#include <fnmatch.h>
#include <rapidjson/writer.h>

#include "common/base/ids.h"
#include "common/wire/entry_list.h"
#include "supervisor/conflicts.h"
#include "supervisor/unsynced.h"

namespace lefting::supervisor {

namespace {

/// What RapidJSON writes to: stdio in large pieces.
class Output {
 public:
  using Ch = char;
  explicit Output(std::FILE* out) : out_{out} {}
  void Put(char c) {
    text_ += c;
    if (text_.size() >= kAtOnce) Flush();
  }
  void append(std::string_view text) {
    text_ += text;
    if (text_.size() >= kAtOnce) Flush();
  }
  void Flush() {
    std::fwrite(text_.data(), 1, text_.size(), out_);
    text_.clear();
  }

 private:
  static constexpr std::size_t kAtOnce = 1 << 16;
  std::FILE* out_;
  std::string text_;
};

/// RapidJSON's writer on a stdio stream; ends the line when it is done.
class Json {
 public:
  explicit Json(std::FILE* out) : output_{out}, writer_{output_} {}
  ~Json() {
    output_.Put('\n');
    output_.Flush();
  }
  Json(const Json&) = delete;
  Json& operator=(const Json&) = delete;

  void begin_object() { writer_.StartObject(); }
  void end_object() { writer_.EndObject(); }
  void begin_array() { writer_.StartArray(); }
  void end_array() { writer_.EndArray(); }
  void key(const char* name) { writer_.Key(name); }
  void text(std::string_view value) {
    writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  }
  /// For what is JSON already: a value's begin, and what follows without the writer's knowledge.
  void begin_raw_array() { writer_.RawValue("[", 1, rapidjson::kArrayType); }
  void raw(std::string_view json) { output_.append(json); }

  void put(const char* name, std::string_view value) {
    key(name);
    // What isn't UTF-8 can't stand in JSON; where it matters the caller gives base64.
    text(is_utf8(value) ? value : "");
  }
  void put(const char* name, std::uint64_t value) {
    key(name);
    writer_.Uint64(value);
  }
  void put_signed(const char* name, std::int64_t value) {
    key(name);
    writer_.Int64(value);
  }
  /// `path`, or `path64` where it is not UTF-8.
  void put_path(const char* name, const std::string& path) {
    if (is_utf8(path)) return put(name, path);
    put((std::string{name} + "64").c_str(), to_base64(path));
  }

 private:
  Output output_;
  rapidjson::Writer<Output> writer_;
};

void put_roles(Json& json, View& view) {
  json.begin_array();
  for (const RoleView& role : view.roles()) {
    json.begin_object();
    json.put("role", role.role);
    json.put_signed("pid", role.pid);
    json.put("state", role.state);
    json.put("restarts", role.restarts);
    json.put_signed("last_exit", role.last_exit);
    json.put("heartbeat_age_ms", role.heartbeat_age_ms);
    if (!role.reason.empty()) json.put("reason", role.reason);
    json.end_object();
  }
  json.end_array();
}

void put_peers(Json& json, const std::vector<state::PeerView>& peers) {
  json.begin_array();
  for (const state::PeerView& view : peers) {
    json.begin_object();
    json.put("device", view.peer.device ? to_text(*view.peer.device) : "");
    json.put("name", view.peer.name);
    json.put("address", view.peer.address);
    json.put("state", state::to_text(view.state));
    json.put("seen", view.peer.seen);
    if (!view.reason.empty()) json.put("reason", view.reason);
    json.end_object();
  }
  json.end_array();
}

void put_tickets(Json& json, View& view, const std::string& glob) {
  const auto peers = view.peers();
  json.begin_array();
  view.for_each_ticket([&](const state::TicketView& ticket) {
    const Entry& wanted = ticket.ticket.wanted;
    if (!path_matches(wanted.path, glob)) return true;
    json.begin_object();
    json.put_path("path", wanted.path);
    json.put("size", wanted.size);
    json.put("done_bytes", ticket.done_bytes);
    json.put("state", state::to_text(ticket.state));
    json.key("sources");
    json.begin_array();
    for (const std::string& source : source_names(ticket.ticket.sources, peers)) json.text(source);
    json.end_array();
    json.put("reason", to_text(cause_of(ticket)));
    json.put("error", ticket.reason.text);
    json.end_object();
    return true;
  });
  json.end_array();
}

void put_files(Json& json, View& view, const std::string& glob) {
  json.begin_raw_array();
  const char* before = "";
  view.for_each_file([&](const Record& record) {
    if (!path_matches(record.entry.path, glob)) return;
    std::string entry = wire::encode_entry(record.entry);
    entry.pop_back();  // its closing brace
    json.raw(before + entry + ",\"sequence\":" + std::to_string(record.sequence) + "}");
    before = ",";
  });
  json.raw("]");
}

/// Everything up to `tickets`.
void put_head(Json& json, View& view) {
  const InstanceReport& instance = view.instance();
  json.key("segment");
  json.begin_object();
  json.put("generation", instance.generation);
  json.put("size_bytes", view.segment_bytes());
  json.put("used_bytes", view.used_bytes());
  json.end_object();
  json.put("device", instance.device);
  json.put("name", instance.name);
  json.put_path("share", instance.share);
  json.put("listen", instance.listen);
  json.key("index");
  json.begin_object();
  const auto index = view.index();
  json.put("id", index_text(index.id));
  json.put("sequence", index.sequence);
  json.end_object();
  json.key("roles");
  put_roles(json, view);
  json.key("peers");
  put_peers(json, view.peers());
}

void put_counts(Json& json, const Counts& counts) {
  json.begin_object();
  json.put("files", counts.files);
  json.put("bytes", counts.bytes);
  json.put("deleted", counts.deleted);
  json.key("tickets");
  json.begin_object();
  json.put("queued", counts.tickets.queued);
  json.put("active", counts.tickets.active);
  json.put("waiting", counts.tickets.waiting);
  json.put("failed", counts.tickets.failed);
  json.put("bytes", counts.tickets.bytes);
  json.put("done_bytes", counts.tickets.done_bytes);
  json.end_object();
  json.put("received_bytes", counts.received);
  json.put("sent_bytes", counts.sent);
  json.put("skipped", counts.skipped);
  json.put("unreadable", counts.unreadable);
  json.put("ignored", counts.ignored);
  json.put("left_over", counts.left_over);
  json.put("held", counts.held);
  json.put("watching", counts.watching);
  json.end_object();
}

}  // namespace

bool path_matches(const std::string& path, const std::string& glob) {
  return glob.empty() || ::fnmatch(glob.c_str(), path.c_str(), 0) == 0;
}

std::vector<std::string> source_names(std::uint64_t sources,
                                      const std::vector<state::PeerView>& peers) {
  std::vector<std::string> out;
  for (const state::PeerView& view : peers) {
    if ((sources >> view.peer.slot & 1) == 0) continue;
    out.push_back(view.peer.device ? to_text(*view.peer.device) : view.peer.address);
  }
  return out;
}

void write_state_json(std::FILE* out, View& view, const std::string& glob) {
  Json json{out};
  json.begin_object();
  put_head(json, view);
  json.key("tickets");
  put_tickets(json, view, glob);
  json.key("files");
  put_files(json, view, glob);
  json.end_object();
}

void write_summary_json(std::FILE* out, View& view) {
  Json json{out};
  json.begin_object();
  put_head(json, view);
  json.key("counts");
  put_counts(json, view.counts());
  json.end_object();
}

void write_roles_json(std::FILE* out, View& view) {
  Json json{out};
  put_roles(json, view);
}

void write_peers_json(std::FILE* out, const std::vector<state::PeerView>& peers) {
  Json json{out};
  put_peers(json, peers);
}

void write_tickets_json(std::FILE* out, View& view, const std::string& glob) {
  Json json{out};
  put_tickets(json, view, glob);
}

void write_files_json(std::FILE* out, View& view, const std::string& glob) {
  Json json{out};
  put_files(json, view, glob);
}

void write_conflicts_json(std::FILE* out, View& view, const std::string& glob) {
  Json json{out};
  json.begin_array();
  for_each_conflict(view, [&](const Conflict& conflict) {
    if (!path_matches(conflict.copy.path, glob)) return;
    json.begin_object();
    json.put_path("path", conflict.copy.path);
    json.put_path("original", conflict.original);
    json.put("size", conflict.copy.size);
    json.put_signed("mtime", conflict.copy.mtime_ns);
    json.put("device", conflict.device);
    json.end_object();
  });
  json.end_array();
}

Status write_unsynced_json(std::FILE* out, View& view, const std::string& glob) {
  Json json{out};
  json.begin_array();
  Status listed = for_each_unsynced(view, [&](const Unsynced& one) {
    if (!path_matches(one.path, glob)) return;
    json.begin_object();
    json.put_path("path", one.path);
    json.put("reason", to_text(one.reason.cause));
    json.put("error", one.reason.text);
    json.end_object();
  });
  json.end_array();
  return listed;
}

void write_trash_json(std::FILE* out, const std::vector<share::Trashed>& trash) {
  Json json{out};
  json.begin_array();
  for (const share::Trashed& one : trash) {
    json.begin_object();
    json.put("time", one.time);
    json.put_path("path", one.path);
    json.put("size", one.stat.size);
    json.put_signed("mtime", one.stat.mtime_ns);
    json.end_object();
  }
  json.end_array();
}

}  // namespace lefting::supervisor
