#include "session/direct_write.hpp"

#include <string>

namespace stmqtt {

using contract::Counter;
using contract::WriteCause;
using contract::WriteOutcome;

const char* write_cause_text(WriteCause cause) noexcept {
  switch (cause) {
    case WriteCause::none:
      return "";
    case WriteCause::not_connected:
      return "it is not connected";
    case WriteCause::connection_lost:
      return "its connection ended before it acknowledged";
    case WriteCause::session_ended:
      return "its session ended";
    case WriteCause::outbound_full:
      return "its outbound queue is above the watermark";
    case WriteCause::queue_full:
      return "its queue is full";
    case WriteCause::too_large:
      return "larger than its Maximum Packet Size";
    case WriteCause::expired:
      return "expired";
    case WriteCause::refused:
      return "it refused";
    case WriteCause::memory:
      return "the memory budget is used up";
    case WriteCause::invalid:
      return "not a Topic Name";
    case WriteCause::hook:
      return "a hook dropped it";
  }
  return "";
}

void DirectWrites::tell(std::uint64_t id, const WriteReceiver& to, const WriteEnd& end) noexcept {
  switch (end.outcome) {
    case WriteOutcome::delivered:
      counters_.add(Counter::direct_writes_delivered);
      break;
    case WriteOutcome::dropped:
      counters_.add(Counter::direct_writes_dropped);
      if (logged_) [[unlikely]] log_drop(to, end);
      break;
    case WriteOutcome::queued:
      counters_.add(Counter::direct_writes_queued);
      break;
  }
  contract::Written event{};
  event.write_id = id;
  event.outcome = static_cast<std::uint8_t>(end.outcome);
  event.reason_code = static_cast<std::uint8_t>(end.reason);
  event.cause = static_cast<std::uint8_t>(end.cause);
  event.instance = to.instance;
  host_.written(event);
}

void DirectWrites::log_drop(const WriteReceiver& to, const WriteEnd& end) noexcept {
  std::string text = "DirectWrite dropped: ";
  text += end.cause == WriteCause::refused ? wire::reason_text(end.reason)
                                           : write_cause_text(end.cause);
  contract::Log event{};
  event.level = static_cast<std::uint8_t>(contract::LogLevel::debug);
  event.module = static_cast<std::uint8_t>(contract::LogModule::session);
  event.reason_code = static_cast<std::uint8_t>(end.reason);
  event.instance = to.instance;
  event.client_id_bytes = static_cast<std::uint32_t>(to.client_id.size());
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  host_.event(contract::EventKind::log, event.header, sizeof event,
              {to.client_id, Bytes{}, as_bytes(text)});
}

}  // namespace stmqtt
