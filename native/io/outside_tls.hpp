// TLS that JavaScript does, with Node's module, where this process has no OpenSSL 3 for us. The socket
// is accepted and admitted here like any other; JavaScript gets it, and one end of a socket pair on
// which it says how the handshake went and then carries the bytes. The other end is the Connection, with
// the peer's address, so that everything behind it is as with TLS of our own.
// Thread: made on the listening thread; the channel on the connection's; taken on JavaScript's.
#pragma once

#include <cstdint>

#include "io/secure_channel.hpp"
#include "io/system_error.hpp"

namespace stmqtt {

/// What JavaScript writes first, little endian: {u8 kind, u8 number, u16 zero, u32 bytes}, the bytes.
enum class OutsideRecord : std::uint8_t {
  begun = 1,   ///< the client's first byte came
  open = 2,    ///< number 1 = resumed; bytes: DER of the client's verified certificate, or none
  failed = 3,  ///< number: a TlsFailureCause; bytes: what went wrong, for the log
};

/// For JavaScript. Owns both descriptors.
struct OutsideSocket {
  OutsideSocket() noexcept = default;
  OutsideSocket(std::uint32_t from, int accepted) noexcept : listener(from), socket(accepted) {}
  OutsideSocket(OutsideSocket&& other) noexcept;
  OutsideSocket& operator=(OutsideSocket&& other) noexcept;
  ~OutsideSocket();

  /// Makes the pair, keeps one end and gives the other, or an error.
  [[nodiscard]] SystemError pair(int& ours) noexcept;

  std::uint32_t listener = 0;
  int socket = -1;  ///< the peer's
  int stream = -1;  ///< the other end of the Connection's
  bool proxy_first = false;  ///< a PROXY header comes first, and is for the Connection
};

/// For the other end of OutsideSocket::stream.
[[nodiscard]] Channel* make_outside_channel() noexcept;

}  // namespace stmqtt
