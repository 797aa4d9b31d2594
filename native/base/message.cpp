// See message.hpp. Thread: any.
#include "base/message.hpp"

#include <new>

#include "base/pool.hpp"
#include "base/thread_local.hpp"

namespace stmqtt {
namespace {

STMQTT_THREAD_LOCAL std::int64_t bytes_of_thread = 0;

}  // namespace

Message* Message::make(const MessageParts& parts) noexcept {
  const std::size_t origin = parts.origin.empty() ? 0 : 2 + parts.origin.size();
  const std::size_t bytes = sizeof(Message) + parts.topic.size() + parts.properties.size() +
                            parts.payload.size() + origin;
  auto* message = ::new (pool_allocate(bytes)) Message;
  message->expires_at_ms_ = parts.expires_at_ms;
  message->payload_bytes_ = static_cast<std::uint32_t>(parts.payload.size());
  message->properties_bytes_ = static_cast<std::uint32_t>(parts.properties.size());
  message->publisher_ = parts.publisher;
  message->topic_bytes_ = static_cast<std::uint16_t>(parts.topic.size());
  message->qos_ = parts.qos & 3;
  message->published_ = parts.published;
  message->retain_ = parts.retain;
  message->pool_owner_ = pool_owner();
  std::uint8_t* at = reinterpret_cast<std::uint8_t*>(message + 1);
  at = store_bytes(at, parts.topic);
  at = store_bytes(at, parts.properties);
  at = store_bytes(at, parts.payload);
  if (origin != 0) {
    message->has_origin_ = true;
    store_bytes(store_u16(at, static_cast<std::uint16_t>(parts.origin.size())), parts.origin);
  }
  bytes_of_thread += static_cast<std::int64_t>(bytes);
  return message;
}

void Message::destroy() noexcept {
  const std::size_t bytes =
      sizeof(Message) + logical_bytes() + (has_origin_ ? 2 + origin().size() : 0);
  bytes_of_thread -= static_cast<std::int64_t>(bytes);
  const PoolOwner owner = pool_owner_;
  this->~Message();
  pool_return(this, bytes, owner);
}

std::int64_t Message::thread_bytes() noexcept { return bytes_of_thread; }

}  // namespace stmqtt
