// Engine: the TLS contexts of its listeners. See engine.hpp.
#include "engine/engine.hpp"

namespace stmqtt {

std::uint32_t Engine::make_tls(const TlsOptions& options, TlsFailure& failure) {
  TlsContext* context = TlsContext::make(options, failure);
  if (context == nullptr) return 0;
  tls_contexts_.emplace(next_tls_, TlsContextRef(context));
  return next_tls_++;
}

bool Engine::set_tls(ListenerId id, std::uint32_t tls) {
  ListenerEntry* entry = listener(id);
  const auto found = tls_contexts_.find(tls);
  if (entry == nullptr || !entry->has_tls || found == tls_contexts_.end()) return false;
  entry->tls.set(found->second);
  return true;
}

bool Engine::set_handshake_timeout(ListenerId id, std::uint32_t timeout_ms) {
  ListenerEntry* entry = listener(id);
  if (entry == nullptr) return false;
  entry->handshake_timeout_ms.store(timeout_ms, std::memory_order_relaxed);
  return true;
}

}  // namespace stmqtt
