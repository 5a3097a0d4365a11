#include "common/share/hash.h"

#include <openssl/evp.h>

#include <cerrno>
#include <new>
#include <vector>

#include "common/base/os.h"

namespace lefting::share {

struct Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  // Fetched once: the implicit fetch of EVP_sha256() costs more than hashing a small file.
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  State() {
    if (context == nullptr || algorithm == nullptr) throw std::bad_alloc{};
    begin();
  }
  ~State() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(algorithm);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void begin() {
    if (EVP_DigestInit_ex2(context, algorithm, nullptr) != 1) throw std::bad_alloc{};
  }
};

Hasher::Hasher() : state_{std::make_unique<State>()} {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) throw std::bad_alloc{};
}

Sha256 Hasher::finish() {
  Sha256 hash;
  if (EVP_DigestFinal_ex(state_->context, hash.bytes.data(), nullptr) != 1) throw std::bad_alloc{};
  state_->begin();
  return hash;
}

Result<Sha256> hash_file(int fd, const std::function<bool()>& beat) {
  // One a thread: small files are many, and a buffer and a context for each would cost more.
  thread_local Hasher hasher;
  thread_local std::vector<std::byte> buffer(256u << 10);
  hasher.finish();  // of a call that ended early
  for (std::uint64_t at = 0;;) {
    auto came = pread_all(fd, buffer, at);
    if (!came) return came.error();
    hasher.add({buffer.data(), came.value()});
    at += came.value();
    if (came.value() < buffer.size()) return hasher.finish();
    if (at % (1u << 20) == 0 && !beat()) return os_error(ECANCELED, "hash");
  }
}

}  // namespace lefting::share
