// What a client that authenticated by an Authentication Method has besides: the method, which all of
// its AUTH packets must name, and how far a re-authentication has come (MQTT 5.0, 4.12). One block
// from the pool with its text; others have none.
// Thread: the I/O thread of its connection.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/pool.hpp"
#include "base/timer_wheel.hpp"

namespace stmqtt {

class Client;

class AuthState : public TimerNode {
 public:
  enum class Step : std::uint8_t {
    idle,
    verdict,  ///< TypeScript judges an AUTH packet
    client,   ///< AUTH 0x18 went out; the client's is awaited
  };

  [[nodiscard]] static AuthState* make(Client& client, Bytes method) noexcept {
    auto* state = new (pool_allocate(sizeof(AuthState) + method.size())) AuthState(client);
    state->method_bytes_ = static_cast<std::uint32_t>(method.size());
    store_bytes(reinterpret_cast<std::uint8_t*>(state + 1), method);
    return state;
  }
  static void destroy(AuthState* state) noexcept {
    const std::size_t bytes = sizeof(AuthState) + state->method_bytes_;
    state->~AuthState();
    pool_free(state, bytes);
  }
  [[nodiscard]] Bytes method() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this + 1), method_bytes_};
  }

  Client& client;
  Step step = Step::idle;

 private:
  explicit AuthState(Client& of) noexcept : client(of) {}
  ~AuthState() = default;

  std::uint32_t method_bytes_ = 0;
};

}  // namespace stmqtt
