#include "session/hook_notices.hpp"

#include "route/topic_trie.hpp"
#include "session/host.hpp"
#include "session/session.hpp"

namespace stmqtt {

using contract::Counter;
using contract::NoticeKind;

void HookNotices::tell_ack(const Session& to, const Message& message, std::uint8_t qos,
                           std::uint16_t packet_id, wire::ReasonCode reason) noexcept {
  const Bytes topic = message.topic();
  if ((desk_.needs(topic, TopicTrie::hash(topic)).kinds & kHookAck) == 0) return;
  contract::Notice notice{};
  notice.notice = static_cast<std::uint16_t>(NoticeKind::ack);
  notice.packet_id = packet_id;
  notice.qos = qos;
  notice.reason_code = static_cast<std::uint8_t>(reason);
  send(notice, &to, topic);
}

void HookNotices::tell_drop(const Session* to, Bytes topic, std::uint8_t qos,
                            contract::DropCause cause) noexcept {
  if ((desk_.needs(topic, TopicTrie::hash(topic)).kinds & kHookDrop) == 0) return;
  contract::Notice notice{};
  notice.notice = static_cast<std::uint16_t>(NoticeKind::drop);
  notice.cause = static_cast<std::uint16_t>(cause);
  notice.qos = qos;
  send(notice, to, topic);
}

void HookNotices::subscription(const Session& session, Bytes filter, Bytes text,
                               contract::Notice& notice) noexcept {
  const bool ended = notice.notice == static_cast<std::uint16_t>(NoticeKind::unsubscribe);
  const std::uint8_t wanted = ended ? kHookUnsubscribe : kHookSubscribed;
  if ((desk_.needs_of_filter(filter).kinds & wanted) != 0) send(notice, &session, text);
}

void HookNotices::send(contract::Notice& notice, const Session* session, Bytes topic) noexcept {
  const Bytes client_id = session == nullptr ? Bytes{} : session->client_id();
  const Client* client = session == nullptr ? nullptr : session->client();
  if (client != nullptr) notice.connection_id = client->connection_id;
  if (session != nullptr) notice.instance = session->key().instance();
  notice.left_out = left_out_;
  notice.client_id_bytes = static_cast<std::uint32_t>(client_id.size());
  notice.topic_bytes = static_cast<std::uint32_t>(topic.size());
  if (host_.event(contract::EventKind::notice, notice.header, sizeof notice, {client_id, topic})) {
    left_out_ = 0;
    counters_.add(Counter::hook_notices);
  } else {
    ++left_out_;
    counters_.add(Counter::hook_notices_left_out);
  }
}

}  // namespace stmqtt
