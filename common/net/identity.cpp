#include "common/net/identity.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <cerrno>
#include <new>
#include <string_view>

#include "common/base/os.h"
#include "common/net/tls.h"

namespace lefting::net {

namespace {

constexpr unsigned kPrivateMode = 0600;

OwnedBio memory_bio() {
  OwnedBio bio{BIO_new(BIO_s_mem())};
  if (!bio) throw std::bad_alloc{};
  return bio;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Error identity_error(const char* operation, const std::string& path) {
  return plain_error(std::string{operation} + " \"" + path + "\"", openssl_reason(),
                     "put back the file as it was; without both files this device gets a new ID");
}

/// 63 random bits: the standard wants a positive serial number.
bool set_serial(X509* certificate) {
  std::uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1;
}

/// A certificate that says nothing but the key: valid for as long as it may matter, since a
/// machine's clock must not be able to lock it out.
OwnedCertificate make_certificate(EVP_PKEY* key) {
  OwnedCertificate certificate{X509_new()};
  if (!certificate) throw std::bad_alloc{};
  X509* const raw = certificate.get();
  X509_NAME* const name = X509_get_subject_name(raw);
  const auto* common_name = reinterpret_cast<const unsigned char*>("lefting");
  const bool made =
      X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
      ASN1_TIME_set_string_X509(X509_getm_notBefore(raw), "20000101000000Z") == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notAfter(raw), "21000101000000Z") == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
      X509_set_issuer_name(raw, name) == 1 && X509_set_pubkey(raw, key) == 1 &&
      X509_sign(raw, key, EVP_sha256()) > 0;
  if (!made) certificate.reset();
  return certificate;
}

Result<OwnedKey> make_key(const std::string& path) {
  OwnedKey key{EVP_EC_gen("P-256")};
  const OwnedBio pem = memory_bio();
  if (!key ||
      PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return plain_error("make the key", openssl_reason());
  }
  if (auto done = write_file(path, text_of(pem.get()), kPrivateMode); !done) return done.error();
  return key;
}

Result<OwnedCertificate> make_certificate_file(EVP_PKEY* key, const std::string& path) {
  OwnedCertificate certificate = make_certificate(key);
  const OwnedBio pem = memory_bio();
  if (!certificate || PEM_write_bio_X509(pem.get(), certificate.get()) != 1) {
    return plain_error("make the certificate", openssl_reason());
  }
  if (auto done = write_file(path, text_of(pem.get()), kPrivateMode); !done) return done.error();
  return certificate;
}

OwnedBio text_bio(std::string_view text) {
  OwnedBio bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  if (!bio) throw std::bad_alloc{};
  return bio;
}

/// A key with a passphrase is refused: OpenSSL would ask for it on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<OwnedKey> read_key(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  OwnedKey key{
      PEM_read_bio_PrivateKey(text_bio(text.value()).get(), nullptr, no_passphrase, nullptr)};
  if (!key) return identity_error("read the key", path);
  return key;
}

Result<OwnedCertificate> read_certificate(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  OwnedCertificate certificate{
      PEM_read_bio_X509(text_bio(text.value()).get(), nullptr, no_passphrase, nullptr)};
  if (!certificate) return identity_error("read the certificate", path);
  return certificate;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Identity::Identity(std::unique_ptr<Tls> tls) : tls_{std::move(tls)} {}
Identity::Identity(Identity&&) noexcept = default;
Identity& Identity::operator=(Identity&&) noexcept = default;
Identity::~Identity() = default;

const DeviceId& Identity::device() const { return tls_->device; }

Result<Identity> Identity::open(const std::string& key_path, const std::string& certificate_path) {
  const bool has_certificate = exists(certificate_path);
  // The key is written first, so a certificate without one is a loss, and not a making cut short.
  auto key = has_certificate || exists(key_path) ? read_key(key_path) : make_key(key_path);
  if (!key) return key.error();
  auto certificate = has_certificate ? read_certificate(certificate_path)
                                     : make_certificate_file(key.value().get(), certificate_path);
  if (!certificate) return certificate.error();
  if (X509_check_private_key(certificate.value().get(), key.value().get()) != 1) {
    return identity_error("match with its key", certificate_path);
  }
  const auto device = device_of(certificate.value().get());
  if (!device) return identity_error("read the key in", certificate_path);
  auto context = make_context(key.value().get(), certificate.value().get());
  if (!context) return context.error();
  return Identity{std::make_unique<Tls>(Tls{*device, context.take()})};
}

Result<DeviceId> read_device(const std::string& key_path) {
  const auto key = read_key(key_path);
  if (!key) return key.error();
  const auto device = device_of(key.value().get());
  if (!device) return identity_error("read the key", key_path);
  return *device;
}

}  // namespace lefting::net
