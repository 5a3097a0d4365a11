#include <openssl/err.h>

#include <algorithm>
#include <new>

#include "common/base/os.h"
#include "common/net/stream.h"
#include "common/net/tls.h"

namespace lefting::net {

namespace {

class TlsStream final : public Connection::Stream {
 public:
  TlsStream(UniqueFd taken, int stop, Address other, const Timeouts& waits,
            const Identity& identity, Side side)
      : Stream{std::move(taken), stop, std::move(other), waits},
        ssl_{SSL_new(identity.tls().context.get())} {
    if (!ssl_) throw std::bad_alloc{};
    OwnedBio bio = make_socket_bio(socket.get());
    SSL_set_bio(ssl_.get(), bio.get(), bio.get());  // takes it
    static_cast<void>(bio.release());
    if (side == Side::calls) {
      SSL_set_connect_state(ssl_.get());
    } else {
      SSL_set_accept_state(ssl_.get());
    }
  }

  Status handshake(Deadline deadline) {
    for (;;) {
      ERR_clear_error();
      const int done = SSL_do_handshake(ssl_.get());
      if (done == 1) return take_device();
      const auto step = outcome(done, "greet with TLS");
      if (!step) return met_plain() ? not_tls() : step.error();
      if (auto ready = wait(step.value().wait_for, deadline); !ready) return ready;
    }
  }

  Result<Step> try_read(std::span<std::byte> into) override {
    std::size_t count = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
    if (done == 1) return Step{count, 0};
    return outcome(done, "read from");
  }

  Status write(std::span<const std::span<const std::byte>> pieces) override {
    for (auto piece : pieces) {
      while (!piece.empty()) {
        // Whole records go as they are; what is less shares one, so that a small frame is one.
        const bool direct = out_.empty() && piece.size() >= kRecordBytes;
        const std::size_t count = direct ? piece.size() - piece.size() % kRecordBytes
                                         : std::min(piece.size(), kRecordBytes - out_.size());
        const auto front = piece.first(count);
        piece = piece.subspan(count);
        if (direct) {
          if (auto done = write_all_of(front); !done) return done;
          continue;
        }
        out_.insert(out_.end(), front.begin(), front.end());
        if (out_.size() < kRecordBytes) continue;
        if (auto done = flush_record(); !done) return done;
      }
    }
    if (!out_.empty()) {
      if (auto done = flush_record(); !done) return done;
    }
    return send_gathered();
  }

  bool pending() const override { return SSL_has_pending(ssl_.get()) == 1; }

  void say_goodbye() override {
    if (broken_ || SSL_in_init(ssl_.get())) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    broken_ = true;  // nothing can be written after it
  }

  ~TlsStream() override { say_goodbye(); }

 private:
  /// What a call of OpenSSL that did not succeed means.
  Result<Step> outcome(int returned, const char* operation) {
    const int kind = SSL_get_error(ssl_.get(), returned);
    if (kind == SSL_ERROR_WANT_READ) return Step{0, POLLIN};
    if (kind == SSL_ERROR_WANT_WRITE) return Step{0, POLLOUT};
    if (kind == SSL_ERROR_ZERO_RETURN) return error(Fault::closed, operation);
    const auto end = socket_view(SSL_get_rbio(ssl_.get())).end;
    // A flush within the handshake: OpenSSL 3.0 does not pass on that it would have to wait.
    if (kind == SSL_ERROR_SYSCALL && !end && BIO_should_write(SSL_get_wbio(ssl_.get()))) {
      return Step{0, POLLOUT};
    }
    broken_ = true;
    if (kind == SSL_ERROR_SYSCALL && end) {
      if (*end == 0) return error(Fault::closed, operation);
      return os_error(*end, operation, remote.text());
    }
    Error failed = error(Fault::tls, operation);
    failed.advice = "OpenSSL says: " + openssl_reason();
    return failed;
  }

  /// The error frame of a plain peer is no TLS record; its first byte tells it from a broken one.
  bool met_plain() const {
    const auto first = socket_view(SSL_get_rbio(ssl_.get())).first_in;
    return first && *first != kTlsHandshake && *first != kTlsAlert;
  }

  Error not_tls() const {
    Error mismatch = error(Fault::not_tls, "greet with TLS");
    mismatch.advice = kMismatchAdvice;
    return mismatch;
  }

  Status take_device() {
    const OwnedCertificate certificate{SSL_get1_peer_certificate(ssl_.get())};
    if (certificate) device = device_of(certificate.get());
    if (device && speaks_lefting(ssl_.get())) return {};
    Error failed = error(Fault::tls, "greet with TLS");
    failed.advice = device ? "it does not speak lefting/1" : "it showed no certificate";
    return failed;
  }

  Status write_all_of(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      std::size_t count = 0;
      ERR_clear_error();
      const int done = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
      if (done == 1) {
        bytes = bytes.subspan(count);
        continue;
      }
      const auto step = outcome(done, "write to");
      if (!step) return step.error();
      const auto until = deadline_in(timeouts.progress);
      if (auto ready = wait(step.value().wait_for, until); !ready) return ready;
    }
    return {};
  }

  /// The BIO sends many records at once.
  Status send_gathered() {
    BIO* const bio = SSL_get_wbio(ssl_.get());
    while (BIO_flush(bio) != 1) {
      if (!BIO_should_retry(bio)) {
        broken_ = true;
        return os_error(*socket_view(bio).end, "write to", remote.text());
      }
      const auto until = deadline_in(timeouts.progress);
      if (auto ready = wait(POLLOUT, until); !ready) return ready;
    }
    return {};
  }

  Status flush_record() {
    auto done = write_all_of(out_);
    out_.clear();
    return done;
  }

  OwnedSsl ssl_;
  bool broken_ = false;         ///< OpenSSL must not be asked to say goodbye
  std::vector<std::byte> out_;  ///< less than a record that waits for its rest
};

}  // namespace

Result<std::unique_ptr<Connection::Stream>> make_tls_stream(UniqueFd socket, int stop_fd,
                                                            Address remote,
                                                            const Timeouts& timeouts,
                                                            const Identity& identity, Side side,
                                                            Deadline deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), stop_fd, std::move(remote), timeouts,
                                            identity, side);
  if (auto done = stream->handshake(deadline); !done) return done.error();
  return std::unique_ptr<Connection::Stream>{std::move(stream)};
}

}  // namespace lefting::net
