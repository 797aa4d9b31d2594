#include "engine/command_lengths.hpp"

#include <cstring>
#include <initializer_list>

#include "wire/types.hpp"

namespace stmqtt {
namespace {

/// Bytes of a command's fixed part, and of its strings by its own words; SIZE_MAX = unfit.
template <class Record, class F>
std::size_t claimed(const std::uint8_t* record, std::size_t room, F&& strings) {
  if (room < sizeof(Record)) return SIZE_MAX;
  Record fixed;
  std::memcpy(&fixed, record, sizeof fixed);
  const std::size_t bytes = strings(fixed);
  return bytes == SIZE_MAX ? SIZE_MAX : sizeof(Record) + bytes;
}

/// Bytes of strings that go into packets; SIZE_MAX if MQTT cannot say one of them.
std::size_t texts(std::initializer_list<std::uint32_t> lengths) {
  std::size_t bytes = 0;
  for (const std::uint32_t length : lengths) {
    if (length > wire::kMaxStringBytes) return SIZE_MAX;
    bytes += length;
  }
  return bytes;
}

}  // namespace

std::size_t claimed_bytes(contract::CommandKind kind, const std::uint8_t* record,
                          std::size_t room) {
  using namespace contract;
  switch (kind) {
    case CommandKind::verdict:
      return claimed<Verdict>(record, room, [](const Verdict& v) {
        const std::size_t bytes =
            texts({v.client_id_bytes, v.username_bytes, v.reason_text_bytes, v.tenant_bytes,
                   v.device_id_bytes, v.groups_bytes, v.certificate_name_bytes, v.auth_data_bytes});
        return bytes == SIZE_MAX || v.rules_bytes > kMaxRulesBytes || v.role > 2
                   ? SIZE_MAX
                   : bytes + v.rules_bytes;
      });
    case CommandKind::link_open:
      return claimed<LinkOpen>(record, room, [](const LinkOpen& o) {
        return o.role > 2 ? SIZE_MAX : texts({o.device_id_bytes});
      });
    case CommandKind::link_bytes:
      return claimed<LinkBytes>(record, room,
                                [](const LinkBytes& b) { return std::size_t{b.data_bytes}; });
    case CommandKind::link_credit:
      return claimed<LinkCredit>(record, room, [](const LinkCredit&) { return std::size_t{0}; });
    case CommandKind::link_close:
      return claimed<LinkClose>(record, room, [](const LinkClose&) { return std::size_t{0}; });
    case CommandKind::disconnect:
      return claimed<Disconnect>(record, room, [](const Disconnect& d) {
        return texts({d.client_id_bytes, d.reason_text_bytes});
      });
    case CommandKind::drain:
      return claimed<Drain>(record, room, [](const Drain&) { return std::size_t{0}; });
    case CommandKind::publish:
      return claimed<Publish>(record, room, [](const Publish& p) {
        const std::size_t topic = texts({p.topic_bytes});
        return topic == SIZE_MAX || p.qos > 2 ? SIZE_MAX : topic + p.payload_bytes;
      });
    case CommandKind::hook_verdict:
      return claimed<HookVerdict>(record, room, [](const HookVerdict& v) {
        const std::size_t bytes = texts({v.reason_text_bytes, v.topic_bytes});
        return bytes == SIZE_MAX || v.qos > 2 || v.action > 3 ||
                       v.properties_bytes > wire::kMaxRemainingLength
                   ? SIZE_MAX
                   : bytes + v.properties_bytes + v.payload_bytes;
      });
    case CommandKind::direct_write:
      return claimed<DirectWrite>(record, room, [](const DirectWrite& w) {
        const std::size_t bytes = texts({w.client_id_bytes, w.topic_bytes});
        return bytes == SIZE_MAX || w.qos > 2 || w.write_id == 0
                   ? SIZE_MAX
                   : bytes + w.properties_bytes + w.payload_bytes;
      });
    case CommandKind::query:
      return claimed<Query>(record, room, [](const Query& q) {
        const std::size_t bytes = texts({q.client_id_bytes, q.text_bytes});
        return bytes == SIZE_MAX || q.cursor_bytes > kMaxCursorBytes ? SIZE_MAX
                                                                     : bytes + q.cursor_bytes;
      });
  }
  return SIZE_MAX;
}

}  // namespace stmqtt
