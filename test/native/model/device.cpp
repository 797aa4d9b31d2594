#include "model/device.hpp"

#include <algorithm>

namespace stmqtt::model {

Device::Device(World& world, int index, Version version, naive::Rng& rng)
    : world_(world),
      index_(index),
      id_("d" + std::to_string(index)),
      version_(version),
      rng_(rng),
      reader_(version) {}

void Device::connect(unsigned shard, const ConnectText& connect) {
  lose_connection();
  line_ = &world_.open(shard, index_, connect);
  world_.trace("* " + id_ + " connects on line " + std::to_string(line_->conn->number) +
               " shard " + std::to_string(shard) + (connect.clean_start ? " clean" : "") +
               " expiry " + std::to_string(connect.session_expiry_s) +
               (connect.has_will ? " will " + connect.will_payload.substr(0, 8) + " delay " +
                                       std::to_string(connect.will_delay_s)
                                 : ""));
}

/// An old connection that is not dropped stays open, and nobody reads from it.
void Device::lose_connection() {
  line_ = nullptr;
  connected_ = false;
  answers_.clear();
  reader_ = PacketReader(version_);
  for (Outgoing& message : outgoing_) message.sent = false;
}

void Device::drop() {
  if (line_ == nullptr) return;
  world_.trace("* " + id_ + " drops line " + std::to_string(line_->conn->number));
  Conn& conn = *line_->conn;
  conn.peer_closed = true;
  conn.to_broker.resize(rng_.below(static_cast<std::uint32_t>(conn.to_broker.size()) + 1));
  lose_connection();
}

void Device::disconnect(ReasonCode reason, std::int64_t expiry_s) {
  Sent sent;
  sent.type = PacketType::disconnect;
  sent.reason = version_ == Version::v5 ? reason : ReasonCode::success;
  sent.expiry_s = version_ == Version::v5 ? expiry_s : -1;
  world_.send(*line_, sent, disconnect_packet(version_, sent.reason, sent.expiry_s));
  line_->conn->peer_closed = true;
  lose_connection();
}

std::uint16_t Device::free_id() {
  for (;;) {
    // From a small range, so that identifiers come back soon.
    const auto id = static_cast<std::uint16_t>(1 + rng_.below(40));
    if (find(id) == nullptr) return id;
  }
}

Device::Outgoing* Device::find(std::uint16_t packet_id) {
  for (Outgoing& message : outgoing_) {
    if (message.packet_id == packet_id) return &message;
  }
  return nullptr;
}

void Device::publish(int text) {
  const Text& what = world_.reference().texts[static_cast<std::size_t>(text)];
  if (what.qos == 0) {
    Outgoing message;
    message.text = text;
    message.qos = 0;
    return send_publish(message, false);
  }
  Outgoing message;
  message.text = text;
  message.qos = what.qos;
  message.packet_id = free_id();
  outgoing_.push_back(message);
  send_waiting();
}

void Device::send_waiting() {
  if (!connected()) return;
  std::size_t in_flight = 0;
  for (const Outgoing& message : outgoing_) in_flight += message.sent ? 1 : 0;
  for (Outgoing& message : outgoing_) {
    if (message.sent) continue;
    if (in_flight >= window_) return;
    ++in_flight;
    if (message.released) {
      message.sent = true;
      queue_answer(PacketType::pubrel, message.packet_id);
    } else {
      send_publish(message, message.ever_sent);
    }
  }
}

void Device::send_publish(Outgoing& message, bool dup) {
  const Text& what = world_.reference().texts[static_cast<std::size_t>(message.text)];
  PublishText publish;
  publish.version = version_;
  publish.topic = what.topic;
  publish.payload = what.payload;
  publish.qos = message.qos;
  publish.retain = what.retain;
  publish.dup = dup;
  publish.packet_id = message.packet_id;
  publish.expiry_s = what.expiry_s;
  publish.user_value = what.user_value;
  message.sent = true;
  message.ever_sent = true;
  Sent sent;
  sent.type = PacketType::publish;
  sent.text = message.text;
  sent.packet_id = message.packet_id;
  sent.qos = message.qos;
  world_.send(*line_, std::move(sent), publish_packet(publish));
}

void Device::subscribe(const std::vector<FilterText>& filters, std::uint32_t id) {
  Sent sent;
  sent.type = PacketType::subscribe;
  sent.packet_id = ++request_id_;
  sent.filters = filters;
  sent.subscription_id = version_ == Version::v5 ? id : 0;
  if (version_ != Version::v5) {
    for (FilterText& filter : sent.filters) {
      filter.no_local = filter.retain_as_published = false;
      filter.retain_handling = 0;
    }
  }
  const std::string bytes = subscribe_packet(version_, sent.packet_id, filters, id);
  for (const FilterText& filter : filters) {
    world_.trace("* " + id_ + " subscribes to " + filter.filter + " qos " +
                 std::to_string(filter.qos) + " rh " + std::to_string(filter.retain_handling) +
                 (filter.no_local ? " no local" : ""));
  }
  world_.send(*line_, std::move(sent), bytes);
}

void Device::unsubscribe(const std::vector<std::string>& filters) {
  Sent sent;
  sent.type = PacketType::unsubscribe;
  sent.packet_id = ++request_id_;
  sent.unsubscribes = filters;
  const std::string bytes = unsubscribe_packet(version_, sent.packet_id, filters);
  world_.trace("* " + id_ + " unsubscribes from " + filters[0]);
  world_.send(*line_, std::move(sent), bytes);
}

void Device::ping() {
  Sent sent;
  sent.type = PacketType::pingreq;
  world_.send(*line_, std::move(sent), pingreq_packet());
}

void Device::read(std::size_t bytes) {
  if (line_ == nullptr) return;
  Conn& conn = *line_->conn;
  const std::size_t count = std::min(bytes, conn.to_client.size());
  reader_.add(std::string_view(conn.to_client).substr(0, count));
  conn.to_client.erase(0, count);
  for (Packet packet; line_ != nullptr && reader_.next(packet);) handle(packet);
  if (line_ != nullptr && conn.closed && conn.to_client.empty()) lose_connection();
}

void Device::handle(const Packet& packet) {
  switch (packet.type) {
    case PacketType::connack:
      return on_connack(packet);
    case PacketType::publish:
      return take_publish(packet);
    case PacketType::puback:
      std::erase_if(outgoing_, [&](const Outgoing& message) {
        return message.packet_id == packet.packet_id && message.qos == 1;
      });
      return send_waiting();
    case PacketType::pubrec: {
      Outgoing* message = find(packet.packet_id);
      if (message == nullptr || message->qos != 2) return;
      if (wire::is_error(packet.reason)) {
        std::erase_if(outgoing_, [&](const Outgoing& each) {
          return each.packet_id == packet.packet_id;
        });
        return send_waiting();
      }
      message->released = true;
      return queue_answer(PacketType::pubrel, packet.packet_id);
    }
    case PacketType::pubrel:
      incoming_.erase(packet.packet_id);
      return queue_answer(PacketType::pubcomp, packet.packet_id);
    case PacketType::pubcomp:
      std::erase_if(outgoing_, [&](const Outgoing& message) {
        return message.packet_id == packet.packet_id && message.released;
      });
      return send_waiting();
    default:
      return;
  }
}

void Device::on_connack(const Packet& packet) {
  if (packet.reason != ReasonCode::success) return lose_connection();
  connected_ = true;
  window_ = version_ == Version::v5 && packet.receive_maximum != 0 ? packet.receive_maximum : 20;
  // 3.1 does not say; and who lost the CONNACK that told of a new session is told of an old one
  // the next time. No server can help such clients, so here they know.
  const bool known = version_ == Version::v31 ? line_->present : packet.session_present;
  if (!known || line_->session != session_) {
    incoming_.clear();
    // What was in flight belonged to a session that is no more.
    std::erase_if(outgoing_, [](const Outgoing& message) { return message.ever_sent; });
  }
  session_ = line_->session;
  send_waiting();
}

void Device::take_publish(const Packet& packet) {
  switch (packet.qos) {
    case 0:
      return;
    case 1:
      world_.delivered(*line_, packet);
      return queue_answer(PacketType::puback, packet.packet_id);
    default:
      if (!incoming_.contains(packet.packet_id)) {
        incoming_[packet.packet_id] = true;
        world_.delivered(*line_, packet);
      }
      return queue_answer(PacketType::pubrec, packet.packet_id);
  }
}

void Device::queue_answer(PacketType type, std::uint16_t packet_id, ReasonCode reason) {
  Sent sent;
  sent.type = type;
  sent.packet_id = packet_id;
  sent.reason = reason;
  answers_.push_back({std::move(sent), ack_packet(type, version_, packet_id, reason)});
}

void Device::answer(std::size_t count) {
  for (; count > 0 && !answers_.empty() && line_ != nullptr; --count) {
    world_.send(*line_, std::move(answers_.front().first), answers_.front().second);
    answers_.pop_front();
  }
}

std::string Device::unfinished_text() const {
  std::string text;
  for (const Outgoing& message : outgoing_) {
    text += " id " + std::to_string(message.packet_id) + " qos " + std::to_string(message.qos) +
            (message.sent ? " sent" : " waits") + (message.released ? " released" : "");
  }
  return text;
}

}  // namespace stmqtt::model
