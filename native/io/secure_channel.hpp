// What the channels of TLS have in common, whoever does the cryptography: OpenSSL in this thread
// (tls_channel.hpp), or JavaScript in front of it (outside_tls.hpp). The engine counts, logs and asks
// for certificates by this.
// Thread: the connection's.
#pragma once

#include <string_view>
#include <utility>

#include "base/vec.hpp"
#include "io/channel.hpp"

namespace stmqtt {

/// Why a handshake failed, in the classes that are counted. JavaScript knows them by number.
enum class TlsFailureCause : std::uint8_t {
  unfinished,   ///< the peer went away, or time was up
  not_tls,      ///< the first byte is none of TLS
  version,      ///< no version, cipher or group in common
  certificate,  ///< the client's: missing, not valid, revoked
  refused,      ///< the client sent an alert: it does not accept our certificate, for example
  protocol,     ///< anything else
};

class SecureChannel : public Channel {
 public:
  /// Null if the stack has no TLS.
  [[nodiscard]] static SecureChannel* find(Channel* lowest) noexcept {
    return static_cast<SecureChannel*>(find_channel(lowest, ChannelKind::tls));
  }

  [[nodiscard]] bool is_open() const noexcept override { return stage_ == Stage::open; }
  [[nodiscard]] std::string_view failure() const noexcept override {
    if (text_.size() > 0) return {text_.begin(), text_.size()};
    return stage_ == Stage::waiting ? "the client began no TLS handshake in time"
                                    : "the client did not end its TLS handshake in time";
  }

  /// Whether the handshake took up a session that was there before.
  [[nodiscard]] virtual bool resumed() const noexcept = 0;
  [[nodiscard]] TlsFailureCause cause() const noexcept { return cause_; }
  /// Whether the handshake was done, though something may have broken since.
  [[nodiscard]] bool was_open() const noexcept { return was_open_; }
  /// Whether the handshake is done and nobody has counted it yet.
  [[nodiscard]] bool take_done() noexcept { return was_open_ && !std::exchange(counted_, true); }

 protected:
  enum class Stage : std::uint8_t { waiting, handshake, open, over };

  SecureChannel() noexcept : Channel(ChannelKind::tls) {}
  ~SecureChannel() = default;

  void opened() noexcept {
    stage_ = Stage::open;
    was_open_ = true;
  }
  void fail(TlsFailureCause cause, std::string_view text) noexcept {
    stage_ = Stage::over;
    cause_ = cause;
    text_.clear();
    for (const char c : text) text_.push_back(c);
  }

  PoolVector<std::uint8_t> certificate_;
  PoolVector<char> text_;
  Stage stage_ = Stage::waiting;

 private:
  TlsFailureCause cause_ = TlsFailureCause::unfinished;
  bool was_open_ = false;
  bool counted_ = false;
};

}  // namespace stmqtt
