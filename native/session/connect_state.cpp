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
  if (state->auth_data != nullptr) pool_free(state->auth_data, state->auth_data_bytes);
  if (state->override_text != nullptr) pool_free(state->override_text, state->override_bytes);
  if (state->identity != nullptr) Identity::destroy(state->identity);
  pool_delete(state);
}

void override_texts(ConnectState& state, Bytes client_id, Bytes username) noexcept {
  const std::size_t bytes = client_id.size() + username.size();
  auto* text = static_cast<std::uint8_t*>(pool_allocate(bytes == 0 ? 1 : bytes));
  store_bytes(store_bytes(text, client_id), username);
  if (state.override_text != nullptr) pool_free(state.override_text, state.override_bytes);
  state.override_text = text;
  state.override_bytes = static_cast<std::uint32_t>(bytes == 0 ? 1 : bytes);
  state.client_id = {text, client_id.size()};
  state.username = {text + client_id.size(), username.size()};
}

}  // namespace stmqtt
