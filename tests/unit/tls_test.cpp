#include "common/net/tls.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <future>

#include "common/net/connection.h"
#include "tests/unit/net_fixture.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

namespace {

/// A TLS context of a peer that is not ours; `identity` null: it has no certificate.
OwnedContext foreign_context(const Identity* identity, const char* alpn) {
  OwnedContext context{SSL_CTX_new(TLS_method())};
  REQUIRE(context);
  if (identity != nullptr) {
    SSL_CTX* const ours = identity->tls().context.get();
    REQUIRE(SSL_CTX_use_certificate(context.get(), SSL_CTX_get0_certificate(ours)) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context.get(), SSL_CTX_get0_privatekey(ours)) == 1);
  }
  const std::string names =
      static_cast<char>(std::char_traits<char>::length(alpn)) + std::string{alpn};
  if (*alpn != '\0') {
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(names.data()),
                            static_cast<unsigned>(names.size()));
  }
  return context;
}

/// What accept() makes of a caller with that context.
std::error_code accept_foreign(SSL_CTX* context) {
  const Identity identity = new_identity();
  const Loopback here;
  const UniqueFd raw = here.raw_connect();
  auto accepting = std::async(std::launch::async, [&] {
    const auto accepted = Connection::accept(here.accept(), &identity, -1);
    return accepted.ok() ? std::error_code{} : accepted.error().code;
  });
  const OwnedSsl ssl{SSL_new(context)};
  SSL_set_fd(ssl.get(), raw.get());
  SSL_connect(ssl.get());
  return accepting.get();
}

void pump_bytes(const UniqueFd& from, const UniqueFd& to) {
  char byte = 0;
  while (::recv(from.get(), &byte, 1, 0) == 1) {
    if (::send(to.get(), &byte, 1, MSG_NOSIGNAL) != 1) break;
  }
  ::shutdown(to.get(), SHUT_WR);
  ::shutdown(from.get(), SHUT_RD);
}

}  // namespace

TEST_CASE("TLS: a foreign caller that does all that is asked is accepted") {
  const Identity other = new_identity();
  CHECK(accept_foreign(foreign_context(&other, "lefting/1").get()) == std::error_code{});
}

TEST_CASE("TLS: a caller without a certificate, without lefting/1 or before 1.3 is refused") {
  const Identity other = new_identity();
  CHECK(accept_foreign(foreign_context(nullptr, "lefting/1").get()) == Fault::tls);
  CHECK(accept_foreign(foreign_context(&other, "").get()) == Fault::tls);
  CHECK(accept_foreign(foreign_context(&other, "http/1.1").get()) == Fault::tls);
  const OwnedContext old = foreign_context(&other, "lefting/1");
  SSL_CTX_set_max_proto_version(old.get(), TLS1_2_VERSION);
  CHECK(accept_foreign(old.get()) == Fault::tls);
}

TEST_CASE("TLS: handshake and frames survive a wire that carries byte by byte") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const Loopback target;
  const Loopback wire;
  auto carrying = std::async(std::launch::async, [&] {
    const UniqueFd caller_side = wire.accept();
    const UniqueFd answerer_side = target.raw_connect();
    auto back = std::async(std::launch::async, [&] { pump_bytes(answerer_side, caller_side); });
    pump_bytes(caller_side, answerer_side);
  });
  const std::vector<std::byte> data(20000, std::byte{0x5a});
  auto answering = std::async(std::launch::async, [&] {
    auto answerer = Connection::accept(target.accept(), &two, -1);
    REQUIRE(answerer.ok());
    auto frame = answerer.value().receive(milliseconds{20000});
    REQUIRE(frame.ok());
    REQUIRE(answerer.value().send(frame.value().header, frame.value().data).ok());
    return frame.take();
  });
  {
    auto caller = Connection::connect(wire.address, &one, two.device(), -1);
    REQUIRE(caller.ok());
    REQUIRE(caller.value().send("{\"a\":1}", data).ok());
    const auto echo = caller.value().receive(milliseconds{20000});
    REQUIRE(echo.ok());
    CHECK((echo.value().data == data));
    CHECK((answering.get().data == data));
  }
  carrying.get();
}
