#include "session/packet_tap.hpp"

#include <algorithm>
#include <string>

#include "session/session.hpp"
#include "wire/decode.hpp"
#include "wire/scan.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::TraceEndCause;
using wire::PacketType;
using wire::PropertyId;
using wire::ReasonCode;

namespace {

std::uint32_t length(Bytes bytes) noexcept { return static_cast<std::uint32_t>(bytes.size()); }

/// Overwrites what a view of `frame` shows in its copy.
void blank(std::vector<std::uint8_t>& copy, Bytes frame, Bytes secret) noexcept {
  if (secret.empty()) return;
  const auto at = static_cast<std::size_t>(secret.data() - frame.data());
  std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(at), secret.size(), std::uint8_t{'*'});
}

/// One line for an operator: what kind of packet, and what matters most in it.
std::string describe(PacketType type, Bytes frame, Bytes body, const wire::PublishView* publish) {
  std::string text = wire::packet_name(type);
  if (publish != nullptr) {
    text += " '" + std::string(as_text(publish->topic)) + "' QoS " + std::to_string(publish->qos);
    if (publish->packet_id != 0) text += " id " + std::to_string(publish->packet_id);
    if (publish->topic_alias != 0) text += " alias " + std::to_string(publish->topic_alias);
    if (publish->retain) text += " retain";
    if (publish->dup) text += " dup";
    return text + ", " + std::to_string(publish->payload.size()) + " bytes";
  }
  const bool has_id = type >= PacketType::puback && type <= PacketType::unsuback;
  if (has_id && body.size() >= 2) text += " id " + std::to_string(load_u16(body.data()));
  return text + ", " + std::to_string(frame.size()) + " bytes in all";
}

}  // namespace

void PacketTap::add(TraceRef trace) { traces_.push_back(std::move(trace)); }

void PacketTap::remove(std::uint32_t id) noexcept {
  std::erase_if(traces_, [&](const TraceRef& trace) {
    if (trace->spec.id != id) return false;
    if (trace->leave()) end(*trace, TraceEndCause::stopped, trace->take_suppressed());
    return true;
  });
  if (!active()) again_.clear();
}

void PacketTap::expire(std::uint64_t now_ms) noexcept {
  std::erase_if(traces_, [&](const TraceRef& trace) {
    if (trace->ends_at_ms > now_ms) return false;
    if (trace->leave()) end(*trace, TraceEndCause::time_over, trace->take_suppressed());
    return true;
  });
  if (!active()) again_.clear();
}

std::uint64_t PacketTap::next_end_ms() const noexcept {
  std::uint64_t next = 0;
  for (const TraceRef& trace : traces_) {
    if (next == 0 || trace->ends_at_ms < next) next = trace->ends_at_ms;
  }
  return next;
}

void PacketTap::end(const Trace& trace, TraceEndCause cause, std::uint32_t suppressed) noexcept {
  contract::TraceEnd event{};
  event.trace_id = trace.spec.id;
  event.suppressed = suppressed;
  event.cause = static_cast<std::uint16_t>(cause);
  host_.event(contract::EventKind::trace_end, event.header, sizeof event, {});
}

void PacketTap::inbound(const Client& client, Bytes frame, std::uint64_t now_ms) {
  if (const auto again = std::ranges::find(again_, client.connection_id); again != again_.end()) {
    *again = again_.back();
    again_.pop_back();
    return;
  }
  Subject subject{client, Way::in, frame, frame.subspan(wire::scan(frame).header_bytes),
                  {}, {}, {}, false, frame, 0};
  show(subject, now_ms);
}

void PacketTap::outbound(const Client& client, const OutboundQueue& queue, std::size_t from,
                         std::uint64_t now_ms) {
  scratch_.clear();
  queue.for_each_slice([&](const Slice& slice) {
    const std::size_t skipped = std::min(from, slice.bytes);
    from -= skipped;
    scratch_.insert(scratch_.end(), slice.data + skipped, slice.data + slice.bytes);
  });
  Bytes rest{scratch_.data(), scratch_.size()};
  for (;;) {
    const wire::Scan scan = wire::scan(rest);
    if (scan.status != wire::Scan::Status::frame) return;
    const Bytes frame = rest.first(scan.total);
    rest = rest.subspan(scan.total);
    Subject subject{client, Way::out, frame, frame.subspan(scan.header_bytes),
                    {}, {}, {}, false, frame, 0};
    show(subject, now_ms);
  }
}

void PacketTap::show(Subject& subject, std::uint64_t now_ms) {
  const Client& client = subject.client;
  const PacketType type = wire::packet_type(subject.frame[0]);
  if (client.session != nullptr) {
    subject.client_id = client.session->client_id();
    subject.instance = client.session->key().instance();
  } else if (client.connecting != nullptr) {
    // The final one, once it is known.
    const ConnectState& state = *client.connecting;
    subject.client_id = state.client_id.empty() ? state.view.client_id : state.client_id;
  }
  wire::ConnectView connect;
  if (type == PacketType::connect) {
    const bool good =
        wire::decode_connect(subject.frame[0], subject.body, connect) == ReasonCode::success;
    if (good) {
      if (subject.client_id.empty()) subject.client_id = connect.client_id;
      hide_secrets(subject, connect);
    } else {
      subject.shown = {};  // where its password stands is not known
    }
  } else if (type == PacketType::publish) {
    subject.is_publish =
        wire::decode_publish(subject.frame[0], subject.body, client.version,
                             subject.way == Way::in ? wire::Direction::from_client
                                                    : wire::Direction::from_server,
                             subject.publish) == ReasonCode::success;
    const std::uint16_t alias = subject.publish.topic_alias;
    if (subject.is_publish && subject.publish.topic.empty() && alias != 0) {
      if (subject.way == Way::in && client.aliases_in != nullptr) {
        subject.publish.topic = client.aliases_in->find(alias);
      } else if (subject.way == Way::out && client.aliases_out != nullptr) {
        subject.publish.topic = client.aliases_out->topic_of(alias);
      }
    }
  } else if (type == PacketType::auth) {
    subject.shown = subject.frame.first(subject.frame.size() - subject.body.size());
  }
  char buffer[Host::kAddressBytes];
  subject.address = host_.address(client, buffer);
  for (const TraceRef& trace : traces_) {
    if (fits(trace->spec, subject) && trace->admit(now_ms)) send(*trace, subject);
  }
  if (rules_ != nullptr && rules_->wants(contract::LogLevel::trace, contract::LogModule::session,
                                         subject.client_id)) {
    log(subject);
  }
}

/// Passwords and authentication data are not shown to anybody.
void PacketTap::hide_secrets(Subject& subject, const wire::ConnectView& view) {
  blanked_.assign(subject.frame.begin(), subject.frame.end());
  blank(blanked_, subject.frame, view.password);
  blank(blanked_, subject.frame, view.properties.view(PropertyId::authentication_data));
  subject.shown = {blanked_.data(), blanked_.size()};
}

bool PacketTap::fits(const TraceSpec& spec, const Subject& subject) const noexcept {
  if (!spec.client_id.empty() && as_text(subject.client_id) != spec.client_id) return false;
  if (!spec.address.empty() && !as_text(subject.address).starts_with(spec.address)) return false;
  if (spec.topic_filter.empty()) return true;
  return subject.is_publish && !subject.publish.topic.empty() &&
         wire::topic_matches(as_bytes(spec.topic_filter), subject.publish.topic);
}

void PacketTap::send(Trace& trace, const Subject& subject) {
  std::size_t most = TraceSpec::kMaxPacketBytes;
  if (subject.is_publish) {
    const std::size_t payload = subject.publish.payload.size();
    most = std::min(most, subject.frame.size() - payload +
                              std::min<std::size_t>(payload, trace.spec.payload_bytes));
  }
  const Bytes packet = subject.shown.first(std::min(most, subject.shown.size()));
  contract::Trace event{};
  event.connection_id = subject.client.connection_id;
  event.trace_id = trace.spec.id;
  event.packet_length = length(subject.frame);
  event.suppressed = trace.take_suppressed();
  event.direction = subject.way == Way::in ? 0 : 1;
  event.protocol_level = static_cast<std::uint8_t>(subject.client.version);
  event.client_id_bytes = length(subject.client_id);
  event.address_bytes = length(subject.address);
  event.packet_bytes = length(packet);
  event.instance = subject.instance;
  host_.event(contract::EventKind::trace, event.header, sizeof event,
              {subject.client_id, subject.address, packet});
}

void PacketTap::log(const Subject& subject) {
  const std::string text =
      (subject.way == Way::in ? "in " : "out ") +
      describe(wire::packet_type(subject.frame[0]), subject.frame, subject.body,
               subject.is_publish ? &subject.publish : nullptr);
  contract::Log event{};
  event.connection_id = subject.client.connection_id;
  event.level = static_cast<std::uint8_t>(contract::LogLevel::trace);
  event.module = static_cast<std::uint8_t>(contract::LogModule::session);
  event.client_id_bytes = length(subject.client_id);
  event.address_bytes = length(subject.address);
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  event.instance = subject.instance;
  host_.event(contract::EventKind::log, event.header, sizeof event,
              {subject.client_id, subject.address, as_bytes(text)});
}

}  // namespace stmqtt
