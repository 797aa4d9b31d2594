// TLS on one connection: an SSL object whose BIO reads from the raw bytes at hand and writes into the
// channel's queue, so that it never sees the socket. It is made when the first byte comes, on the
// thread that has the connection then: a peer that says nothing costs no more than this object.
// Thread: the connection's.
#pragma once

#include <utility>

#include "base/vec.hpp"
#include "io/channel.hpp"
#include "io/tls_context.hpp"

namespace stmqtt {

/// Why a handshake failed, in the classes that are counted.
enum class TlsFailureCause : std::uint8_t {
  unfinished,   ///< the peer went away, or time was up
  not_tls,      ///< the first byte is none of TLS
  version,      ///< no version, cipher or group in common
  certificate,  ///< the client's: missing, not valid, revoked
  refused,      ///< the client sent an alert: it does not accept our certificate, for example
  protocol,     ///< anything else
};

class TlsChannel final : public Channel {
 public:
  /// Counts a reference to the context.
  [[nodiscard]] static TlsChannel* make(TlsContext& context) noexcept;
  /// Null if the stack has no TLS.
  [[nodiscard]] static TlsChannel* find(Channel* lowest) noexcept {
    return static_cast<TlsChannel*>(find_channel(lowest, ChannelKind::tls));
  }

  explicit TlsChannel(TlsContext& context) noexcept;
  ~TlsChannel();

  [[nodiscard]] ChannelOutput receive(const ChannelInput& input) noexcept override;
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override;
  void finish() noexcept override;
  [[nodiscard]] bool is_open() const noexcept override { return stage_ == Stage::open; }
  [[nodiscard]] std::string_view failure() const noexcept override;
  [[nodiscard]] Bytes certificate() noexcept override;
  void drop_certificate() noexcept override { certificate_.clear(); }
  void destroy() noexcept override;

  [[nodiscard]] bool resumed() const noexcept;
  [[nodiscard]] TlsFailureCause cause() const noexcept { return cause_; }
  /// Whether the handshake was done, though something may have broken since.
  [[nodiscard]] bool was_open() const noexcept { return was_open_; }
  /// Whether the handshake is done and nobody has counted it yet.
  [[nodiscard]] bool take_done() noexcept { return was_open_ && !std::exchange(counted_, true); }

 private:
  enum class Stage : std::uint8_t { waiting, handshake, open, over };

  [[nodiscard]] bool begin(std::uint8_t first) noexcept;
  void fail(TlsFailureCause cause, std::string_view text) noexcept;
  void explain_failure() noexcept;

  static int read_raw(openssl::BIO* bio, char* into, int room) noexcept;
  static int write_raw(openssl::BIO* bio, const char* from, int bytes) noexcept;
  static long control(openssl::BIO* bio, int command, long number, void* pointer) noexcept;
  [[nodiscard]] static openssl::BIO_METHOD* bio_method() noexcept;

  TlsContext* context_;  // a reference is counted
  openssl::SSL* ssl_ = nullptr;
  Bytes raw_;  // within receive(): not yet read by OpenSSL
  PoolVector<std::uint8_t> certificate_;
  PoolVector<char> text_;
  Stage stage_ = Stage::waiting;
  TlsFailureCause cause_ = TlsFailureCause::unfinished;
  bool was_open_ = false;
  bool counted_ = false;
};

}  // namespace stmqtt
