// Engine: the TLS contexts of its listeners, and sockets whose TLS JavaScript does. See engine.hpp.
#include <utility>

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

void Engine::put_outside(OutsideSocket&& socket) {
  bool is_first = false;
  {
    const std::lock_guard lock(outside_mutex_);
    is_first = outside_.empty();
    outside_.push_back(std::move(socket));
  }
  if (is_first) wake_.call(wake_.context);
}

std::vector<OutsideSocket> Engine::take_outside() {
  const std::lock_guard lock(outside_mutex_);
  return std::exchange(outside_, {});
}

}  // namespace stmqtt
