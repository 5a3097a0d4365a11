#pragma once

// OpenSSL's types as owners, for the .cpp files of this room.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/net/identity.h"

namespace lefting::net {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* owned) const {
    Free(owned);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<Free>>;

using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedCertificate = Owned<X509, X509_free>;
using OwnedContext = Owned<SSL_CTX, SSL_CTX_free>;
using OwnedSsl = Owned<SSL, SSL_free>;

struct Identity::Tls {
  DeviceId device;
  OwnedContext context;  ///< for both directions; shared by all connections, fixed once made
};

/// The oldest of OpenSSL's errors in this thread, as text; the others are dropped.
std::string openssl_reason();

std::optional<DeviceId> device_of(X509* certificate);
std::optional<DeviceId> device_of(EVP_PKEY* key);

/// TLS 1.3 with `lefting/1`, where both sides show a certificate, whoever signed it.
/// Errors: key and certificate do not belong together.
Result<OwnedContext> make_context(EVP_PKEY* key, X509* certificate);
/// Whether the handshake agreed on `lefting/1`.
bool speaks_lefting(const SSL* ssl);

inline constexpr std::size_t kRecordBytes = 16384;  ///< the most that one TLS record holds

/// What a BIO over a socket has seen of it.
struct SocketView {
  std::optional<int> end;             ///< errno, or 0 for the end of the stream
  std::optional<std::byte> first_in;  ///< the first byte that ever came
};

/// A BIO over a socket that it does not own: unlike OpenSSL's own it never raises SIGPIPE, and what
/// is written stays in it until it is flushed, or eight records would not fit any more.
/// Throws std::bad_alloc.
OwnedBio make_socket_bio(int fd);
const SocketView& socket_view(BIO* bio);

}  // namespace lefting::net
