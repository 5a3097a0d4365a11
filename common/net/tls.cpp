#include "common/net/tls.h"

#include <openssl/err.h>

#include <string_view>

namespace lefting::net {

namespace {

constexpr std::string_view kAlpn = "lefting/1";
constexpr unsigned char kAlpnWire[] = "\x09lefting/1";  // its length, then the name
constexpr unsigned kAlpnWireBytes = sizeof kAlpnWire - 1;
/// AES first: nearly every machine has it in hardware.
constexpr const char* kCiphers =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

int select_alpn(SSL*, const unsigned char** chosen, unsigned char* size,
                const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, size, kAlpnWire, kAlpnWireBytes, offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// Who signed a certificate means nothing: the key in it is the device, and the handshake proves
/// that the other side has that key. The caller compares the device with the peer list.
int accept_any_certificate(X509_STORE_CTX* store, void*) {
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

/// Takes over `der`.
std::optional<DeviceId> device_of_der(unsigned char* der, int size_bytes) {
  if (size_bytes <= 0) return std::nullopt;
  DeviceId device;
  const int done = EVP_Digest(der, static_cast<std::size_t>(size_bytes), device.bytes.data(),
                              nullptr, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (done != 1) return std::nullopt;
  return device;
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown cause" : reason;
}

std::optional<DeviceId> device_of(X509* certificate) {
  unsigned char* der = nullptr;
  // As the peer encoded it: of one key there is more than one encoding.
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  return device_of_der(der, size);
}

std::optional<DeviceId> device_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  return device_of_der(der, size);
}

Result<OwnedContext> make_context(EVP_PKEY* key, X509* certificate) {
  OwnedContext context{SSL_CTX_new(TLS_method())};
  if (!context) throw std::bad_alloc{};
  SSL_CTX* const raw = context.get();
  if (SSL_CTX_use_certificate(raw, certificate) != 1 || SSL_CTX_use_PrivateKey(raw, key) != 1 ||
      SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(raw, kCiphers) != 1 ||
      SSL_CTX_set_alpn_protos(raw, kAlpnWire, kAlpnWireBytes) != 0) {
    return plain_error("set up TLS", openssl_reason());
  }
  SSL_CTX_set_alpn_select_cb(raw, select_alpn, nullptr);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(raw, accept_any_certificate, nullptr);
  // Connections are long: resuming one is not worth a secret that outlives it.
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Else a record costs two reads of the socket.
  SSL_CTX_set_read_ahead(raw, 1);
  return context;
}

bool speaks_lefting(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string_view{reinterpret_cast<const char*>(name), size} == kAlpn;
}

}  // namespace lefting::net
