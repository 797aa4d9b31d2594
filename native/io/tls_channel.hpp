// TLS on one connection: an SSL object whose BIO reads from the raw bytes at hand and writes into the
// channel's queue, so that it never sees the socket. It is made when the first byte comes, on the
// thread that has the connection then: a peer that says nothing costs no more than this object.
// Thread: the connection's.
#pragma once

#include "io/secure_channel.hpp"
#include "io/tls_context.hpp"

namespace stmqtt {

class TlsChannel final : public SecureChannel {
 public:
  /// Counts a reference to the context.
  [[nodiscard]] static TlsChannel* make(TlsContext& context) noexcept;
  explicit TlsChannel(TlsContext& context) noexcept;
  ~TlsChannel();

  [[nodiscard]] ChannelOutput receive(const ChannelInput& input) noexcept override;
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override;
  void finish() noexcept override;
  [[nodiscard]] Bytes certificate() noexcept override;
  void drop_certificate() noexcept override { certificate_.clear(); }
  void destroy() noexcept override;

  [[nodiscard]] bool resumed() const noexcept override;

 private:
  [[nodiscard]] bool begin(std::uint8_t first) noexcept;
  void explain_failure() noexcept;

  static int read_raw(openssl::BIO* bio, char* into, int room) noexcept;
  static int write_raw(openssl::BIO* bio, const char* from, int bytes) noexcept;
  static long control(openssl::BIO* bio, int command, long number, void* pointer) noexcept;
  [[nodiscard]] static openssl::BIO_METHOD* bio_method() noexcept;

  TlsContext* context_;  // a reference is counted
  openssl::SSL* ssl_ = nullptr;
  Bytes raw_;  // within receive(): not yet read by OpenSSL
  unsigned fruitless_reads_ = 0;  // likewise: that brought no plaintext
};

}  // namespace stmqtt
