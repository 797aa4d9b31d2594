// What lies between the generator's packets and its sockets: TLS, or WebSocket. Bytes in, bytes out,
// no sockets. TLS is the system's OpenSSL 3, loaded when a row asks for it.
// Thread: the generator's only one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "wire.hpp"

namespace stmqtt::bench {

enum class Transport : std::uint8_t { tcp, tls, websocket };

class Layer {
 public:
  virtual ~Layer() = default;
  // What opens it goes behind `wire`.
  virtual void open(Bytes& wire) = 0;
  // Takes what the socket gave; packets go behind `packets`, answers of its own behind `wire`.
  virtual void receive(std::span<const std::uint8_t> bytes, Bytes& packets, Bytes& wire) = 0;
  // Moves all of `packets` behind `wire`; nothing while it is not open.
  virtual void send(Bytes& packets, Bytes& wire) = 0;
  [[nodiscard]] bool is_open() const { return is_open_; }

 protected:
  bool is_open_ = false;
};

[[nodiscard]] std::unique_ptr<Layer> make_tls_layer();
[[nodiscard]] std::unique_ptr<Layer> make_websocket_layer();

}  // namespace stmqtt::bench
