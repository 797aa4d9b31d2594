// Shard: DirectWrites, from the command to the session.
// Thread: the shard's.
#include "session/shard.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::Counter;
using contract::WriteCause;

void Shard::direct_write(const SessionRef& ref, const contract::DirectWrite& write, Bytes client_id,
                         MessageParts& parts) noexcept {
  const WriteReceiver to{client_id,
                         write.instance == contract::kAnyInstance ? 0 : write.instance};
  if (!wire::valid_topic_name(parts.topic)) {
    return writes_.tell(write.write_id, to, WriteEnd::dropped(WriteCause::invalid));
  }
  Session* session = find_session(ref);
  if (session == nullptr) {
    return writes_.tell(write.write_id, to, WriteEnd::dropped(WriteCause::not_connected));
  }
  if (write.qos == 0 && tables_.pressure() != MemoryPressure::none) [[unlikely]] {
    alert_memory();
    counters_.add(Counter::dropped_memory_budget);
    return writes_.tell(write.write_id, session->key(), WriteEnd::dropped(WriteCause::memory));
  }
  parts.qos = write.qos;
  if ((write.flags & contract::kWriteExpires) != 0) {
    parts.expires_at_ms = cx_.now_ms + write.expiry_s * 1000ULL;
  }
  const bool may_wait = (write.flags & contract::kWriteQueue) != 0 && session->persistent();
  Publication publication(parts, scratch_);
  publication.expect_one_receiver();
  session->write_direct(cx_, publication, write.qos, {write.write_id, true, may_wait});
  mark_full(*session);
}

}  // namespace stmqtt
