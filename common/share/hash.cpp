#include "common/share/hash.h"

#include <blake3.h>
#include <openssl/evp.h>

#include <cerrno>
#include <new>
#include <vector>

#include "common/base/os.h"

namespace lefting::share {

struct Hasher::Algorithm {
  virtual ~Algorithm() = default;
  virtual void add(std::span<const std::byte> bytes) = 0;
  virtual ContentHash finish() = 0;
};

namespace {

class Sha256 : public Hasher::Algorithm {
 public:
  Sha256() {
    if (context_ == nullptr || digest_ == nullptr) throw std::bad_alloc{};
    begin();
  }
  ~Sha256() override {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(digest_);
  }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes) override {
    if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) throw std::bad_alloc{};
  }
  ContentHash finish() override {
    ContentHash hash{.kind = HashKind::sha256};
    if (EVP_DigestFinal_ex(context_, hash.bytes.data(), nullptr) != 1) throw std::bad_alloc{};
    begin();
    return hash;
  }

 private:
  void begin() {
    if (EVP_DigestInit_ex2(context_, digest_, nullptr) != 1) throw std::bad_alloc{};
  }

  EVP_MD_CTX* context_ = EVP_MD_CTX_new();
  // Fetched once: the implicit fetch of EVP_sha256() costs more than hashing a small file.
  EVP_MD* digest_ = EVP_MD_fetch(nullptr, "SHA256", nullptr);
};

class Blake3 : public Hasher::Algorithm {
 public:
  Blake3() { blake3_hasher_init(&hasher_); }

  void add(std::span<const std::byte> bytes) override {
    blake3_hasher_update(&hasher_, bytes.data(), bytes.size());
  }
  ContentHash finish() override {
    ContentHash hash{.kind = HashKind::blake3};
    blake3_hasher_finalize(&hasher_, hash.bytes.data(), hash.bytes.size());
    blake3_hasher_init(&hasher_);
    return hash;
  }

 private:
  blake3_hasher hasher_;
};

/// One a thread, made when it is needed: small files are many, and one for each would cost more.
Hasher& own_hasher(HashKind kind) {
  if (kind == HashKind::sha256) {
    thread_local Hasher sha256{kind};
    return sha256;
  }
  thread_local Hasher blake3{kind};
  return blake3;
}

}  // namespace

Hasher::Hasher(HashKind kind) {
  if (kind == HashKind::sha256) {
    algorithm_ = std::make_unique<Sha256>();
  } else {
    algorithm_ = std::make_unique<Blake3>();
  }
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::add(std::span<const std::byte> bytes) { algorithm_->add(bytes); }

ContentHash Hasher::finish() { return algorithm_->finish(); }

ContentHash hash_bytes(std::span<const std::byte> bytes, HashKind kind) {
  Hasher& hasher = own_hasher(kind);
  hasher.add(bytes);
  return hasher.finish();
}

Result<ContentHashes> hash_file(int fd, HashKinds kinds, const std::function<bool()>& beat) {
  thread_local std::vector<std::byte> buffer(256u << 10);
  Hasher* const sha256 = kinds.sha256 ? &own_hasher(HashKind::sha256) : nullptr;
  Hasher* const blake3 = kinds.blake3 ? &own_hasher(HashKind::blake3) : nullptr;
  const auto finish = [&] {
    ContentHashes hashes;
    if (sha256 != nullptr) hashes.sha256 = sha256->finish();
    if (blake3 != nullptr) hashes.blake3 = blake3->finish();
    return hashes;
  };
  for (std::uint64_t at = 0;;) {
    const auto came = pread_all(fd, buffer, at);
    if (!came || (at % (1u << 20) == 0 && at != 0 && !beat())) {
      finish();  // what is begun is forgotten
      return came ? os_error(ECANCELED, "hash") : came.error();
    }
    const std::span<const std::byte> bytes{buffer.data(), came.value()};
    if (sha256 != nullptr) sha256->add(bytes);
    if (blake3 != nullptr) blake3->add(bytes);
    at += bytes.size();
    if (bytes.size() < buffer.size()) return finish();
  }
}

Result<ContentHash> hash_file(int fd, HashKind kind, const std::function<bool()>& beat) {
  const auto hashes = hash_file(fd, HashKinds::only(kind), beat);
  if (!hashes) return hashes.error();
  return *hashes.value().of(kind);
}

}  // namespace lefting::share
