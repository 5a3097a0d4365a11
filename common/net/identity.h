#pragma once

#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace lefting::net {

/// This device's key and certificate, and the TLS settings made of them.
class Identity {
 public:
  /// Reads both files (PEM, 0600), or makes them (ECDSA P-256, self-signed) where neither is there.
  /// A certificate alone that is missing is made again from the key: the device stays the same.
  /// Errors: the key missing, one of them unreadable, or not belonging to the other.
  static Result<Identity> open(const std::string& key_path, const std::string& certificate_path);

  Identity(Identity&&) noexcept;
  Identity& operator=(Identity&&) noexcept;
  ~Identity();

  /// SHA-256 of the certificate's SubjectPublicKeyInfo (DER).
  const DeviceId& device() const;

  struct Tls;  // OpenSSL's types stay in the .cpp files
  Tls& tls() const { return *tls_; }

 private:
  explicit Identity(std::unique_ptr<Tls> tls);
  std::unique_ptr<Tls> tls_;
};

/// The device ID of a key that is there; nothing is made. Errors: as Identity::open.
Result<DeviceId> read_device(const std::string& key_path);

}  // namespace lefting::net
