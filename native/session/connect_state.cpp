#include "base/pool.hpp"
#include "session/client.hpp"
#include "wire/decode.hpp"

namespace stmqtt {

ConnectState* ConnectState::make(std::uint8_t first_byte, Bytes body) noexcept {
  auto* state = pool_new<ConnectState>();
  state->body_bytes = static_cast<std::uint32_t>(body.size());
  state->body = static_cast<std::uint8_t*>(pool_allocate(body.size() == 0 ? 1 : body.size()));
  store_bytes(state->body, body);
  // Decoded again from the copy, so that every view points into it.
  static_cast<void>(wire::decode_connect(first_byte, {state->body, body.size()}, state->view));
  return state;
}

void ConnectState::destroy(ConnectState* state) noexcept {
  if (state->body != nullptr) {
    pool_free(state->body, state->body_bytes == 0 ? 1 : state->body_bytes);
  }
  if (state->override_text != nullptr) pool_free(state->override_text, state->override_bytes);
  if (state->identity != nullptr) Identity::destroy(state->identity);
  pool_delete(state);
}

}  // namespace stmqtt
