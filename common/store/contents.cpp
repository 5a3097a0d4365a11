// What is known of contents, and which are alike: the tables `manifest`, `content` and `sketch`.
#include <algorithm>
#include <map>

#include "common/store/database.h"
#include "common/store/read_only.h"
#include "common/store/rows.h"
#include "common/store/store.h"

namespace lefting::store {

std::vector<Record> Store::find_content(std::uint64_t size_bytes, const ContentHash& hash) {
  const std::lock_guard lock{mutex_};
  std::vector<Record> out;
  Query query{database_->content};
  query->bind(1, size_bytes).bind_blob(2, hash_blob(hash));
  while (query->step()) out.push_back(read_record(database_->content));
  return out;
}

bool Store::has_size_besides(std::string_view path, std::uint64_t size_bytes) {
  const std::lock_guard lock{mutex_};
  Query query{database_->size};
  query->bind(1, size_bytes).bind_blob(2, path);
  return query->step();
}

std::optional<Manifest> Store::find_manifest(const ContentHash& hash, std::string_view cut) {
  const std::lock_guard lock{mutex_};
  Query query{database_->manifest};
  query->bind_blob(1, hash_blob(hash)).bind_text(2, cut);
  if (!query->step()) return std::nullopt;
  return Manifest{std::string{query->blob(0)}, decode_bases(query->blob(1))};
}

void Store::put_manifest(const ContentHash& hash, std::string_view cut, const Manifest& manifest) {
  const std::string bases = encode_bases(manifest.bases);
  const std::lock_guard lock{mutex_};
  Statement& put = database_->put_manifest;
  put.bind_blob(1, hash_blob(hash))
      .bind_text(2, cut)
      .bind_blob(3, manifest.blocks)
      .bind_blob(4, bases);
  put.run();
}

bool Store::has_sketch(const ContentHash& hash) {
  const std::lock_guard lock{mutex_};
  Query query{database_->has_sketch};
  query->bind_blob(1, hash_blob(hash));
  return query->step();
}

void Store::put_sketch(const Basis& content, const std::vector<std::uint64_t>& sketch) {
  const auto hash = hash_blob(content.hash);
  Transaction transaction{*this};
  Statement& put = database_->put_content;
  put.bind_blob(1, hash).bind(2, content.size).bind(3, content.mtime_ns);
  put.run();
  for (const std::uint64_t block : sketch) {
    Statement& add = database_->put_sketch;
    add.bind(1, static_cast<std::int64_t>(block)).bind_blob(2, hash);
    add.run();
  }
  transaction.commit();
}

std::vector<Basis> Store::find_bases(const std::vector<std::uint64_t>& sketch) {
  const std::lock_guard lock{mutex_};
  std::map<std::uint64_t, std::size_t> in_common;
  for (const std::uint64_t block : sketch) {
    Query query{database_->sketched};
    query->bind(1, static_cast<std::int64_t>(block));
    while (query->step()) ++in_common[query->number(0)];
  }
  std::vector<std::pair<std::size_t, std::uint64_t>> contents;
  for (const auto& [content, blocks] : in_common) contents.emplace_back(blocks, content);
  std::ranges::sort(contents, std::greater{});  // of the same likeness the youngest first
  std::vector<Basis> bases;
  for (std::size_t i = 0; i < std::min(contents.size(), kMostBases); ++i) {
    Query query{database_->basis};
    query->bind(1, contents[i].second);
    if (!query->step()) continue;
    bases.push_back({read_hash(database_->basis, 0), query->number(1), query->signed_number(2)});
  }
  return bases;
}

bool Store::has_unsketched(std::uint64_t size_bytes) {
  const std::lock_guard lock{mutex_};
  Query query{database_->unsketched_size};
  query->bind(1, size_bytes);
  return query->step();
}

std::vector<std::string> Store::unsketched(std::uint64_t least_bytes) {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> paths;
  Query query{database_->unsketched};
  query->bind(1, least_bytes);
  while (query->step()) paths.emplace_back(query->blob(0));
  return paths;
}

void Store::drop_contents(std::uint64_t now_s, std::uint64_t keep_s) {
  Transaction transaction{*this};
  database_->drop_manifests.run();
  database_->note_back.run();
  database_->note_gone.bind(1, now_s).run();
  for (Statement* drop : {&database_->drop_sketches, &database_->drop_contents}) {
    drop->bind(1, now_s - std::min(now_s, keep_s)).run();
  }
  transaction.commit();
}

}  // namespace lefting::store
