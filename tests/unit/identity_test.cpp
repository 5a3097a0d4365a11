#include "common/net/identity.h"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "common/net/tls.h"
#include "tests/unit/net_fixture.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::string certificate_text(const std::string& path) {
  const auto pem = read_file(path);
  REQUIRE(pem.ok());
  const OwnedBio in{BIO_new_mem_buf(pem.value().data(), static_cast<int>(pem.value().size()))};
  const OwnedCertificate certificate{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
  REQUIRE(certificate);
  const OwnedBio out{BIO_new(BIO_s_mem())};
  X509_print(out.get(), certificate.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("Identity: is made on first use, privately, and is the same from then on") {
  const TempFolder folder;
  const auto first = Identity::open(folder / "key.pem", folder / "certificate.pem");
  REQUIRE(first.ok());
  CHECK(mode_of(folder / "key.pem") == 0600);
  CHECK(mode_of(folder / "certificate.pem") == 0600);
  const auto second = Identity::open(folder / "key.pem", folder / "certificate.pem");
  REQUIRE(second.ok());
  CHECK(first.value().device() == second.value().device());
  CHECK(first.value().device() != DeviceId{});
  CHECK(new_identity().device() != first.value().device());
}

TEST_CASE("Identity: the certificate is P-256, self-signed and valid from 2000 to 2100") {
  const TempFolder folder;
  REQUIRE(Identity::open(folder / "key.pem", folder / "certificate.pem").ok());
  const std::string text = certificate_text(folder / "certificate.pem");
  for (const std::string& part : std::initializer_list<std::string>{
           "Issuer: CN=lefting", "Subject: CN=lefting", "prime256v1",
           "Not Before: Jan  1 00:00:00 2000 GMT", "Not After : Jan  1 00:00:00 2100 GMT",
           "ecdsa-with-SHA256"}) {
    CAPTURE(part);
    CHECK(text.find(part) != text.npos);
  }
}

TEST_CASE("Identity: a certificate that is missing is made again for the same device") {
  const TempFolder folder;
  const auto first = Identity::open(folder / "key.pem", folder / "certificate.pem");
  REQUIRE(first.ok());
  std::filesystem::remove(folder / "certificate.pem");
  const auto second = Identity::open(folder / "key.pem", folder / "certificate.pem");
  REQUIRE(second.ok());
  CHECK(first.value().device() == second.value().device());
}

TEST_CASE("Identity: a missing key is an error, and no new one is made") {
  const TempFolder folder;
  REQUIRE(Identity::open(folder / "key.pem", folder / "certificate.pem").ok());
  std::filesystem::remove(folder / "key.pem");
  CHECK_FALSE(Identity::open(folder / "key.pem", folder / "certificate.pem").ok());
  CHECK_FALSE(std::filesystem::exists(folder / "key.pem"));
}

TEST_CASE("Identity: a damaged file, or one of another device, is an error") {
  const TempFolder folder;
  REQUIRE(Identity::open(folder / "a.key", folder / "a.pem").ok());
  REQUIRE(Identity::open(folder / "b.key", folder / "b.pem").ok());
  const auto mixed = Identity::open(folder / "a.key", folder / "b.pem");
  REQUIRE_FALSE(mixed.ok());
  CHECK(mixed.error().text().find("b.pem") != std::string::npos);
  for (const char* name : {"a.key", "a.pem"}) {
    const std::string whole = read_file(folder / name).take();
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, whole.size() / 2}) {
      CAPTURE(size);
      REQUIRE(write_file(folder / name, whole.substr(0, size), 0600).ok());
      CHECK_FALSE(Identity::open(folder / "a.key", folder / "a.pem").ok());
    }
    REQUIRE(write_file(folder / name, whole, 0600).ok());
  }
  CHECK(Identity::open(folder / "a.key", folder / "a.pem").ok());
}

TEST_CASE("Identity: a folder that is not there is an error that names it") {
  const auto nowhere = Identity::open("/nonexistent/key.pem", "/nonexistent/certificate.pem");
  REQUIRE_FALSE(nowhere.ok());
  CHECK(nowhere.error().text().find("/nonexistent/key.pem") != std::string::npos);
}
