// Engine: what lies between its listeners' sockets and MQTT, TLS apart. See engine.hpp.
#include "engine/engine.hpp"

namespace stmqtt {

const ChannelSettings* Engine::keep_channels(const ChannelSettings& channels) {
  kept_channels_.push_back(std::make_unique<const ChannelSettings>(channels));
  return kept_channels_.back().get();
}

bool Engine::set_channels(ListenerId id, const ChannelSettings& channels) {
  ListenerEntry* entry = listener(id);
  if (entry == nullptr || entry->removed.load(std::memory_order_relaxed)) return false;
  const ChannelSettings* before = entry->channels.load(std::memory_order_relaxed);
  if (before->websocket.has_value() != channels.websocket.has_value()) return false;
  if (*before == channels) return true;
  entry->channels.store(keep_channels(channels), std::memory_order_release);
  return true;
}

}  // namespace stmqtt
