#include "model/bed.hpp"

namespace stmqtt::model {

Peer& Peer::publish(const std::string& topic, const std::string& payload, std::uint8_t qos,
                    std::uint16_t packet_id, bool retain) {
  PublishText text;
  text.version = version_;
  text.topic = topic;
  text.payload = payload;
  text.qos = qos;
  text.packet_id = packet_id;
  text.retain = retain;
  return say(publish_packet(text));
}

Peer& Peer::subscribe(const std::string& filter, std::uint8_t qos, std::uint16_t packet_id) {
  return say(subscribe_packet(version_, packet_id, {{filter, qos}}));
}

Peer& Peer::ack(PacketType type, std::uint16_t packet_id, ReasonCode reason) {
  return say(ack_packet(type, version_, packet_id, reason));
}

std::vector<Packet> Peer::take() {
  reader_.add(conn_->to_client);
  conn_->to_client.clear();
  std::vector<Packet> packets;
  for (Packet packet; reader_.next(packet);) packets.push_back(packet);
  if (!reader_.fault().empty()) {
    Packet bad;
    bad.type = PacketType::auth;
    bad.payload = reader_.fault();
    packets.push_back(bad);
  }
  return packets;
}

std::string Peer::took() {
  std::string text;
  for (const Packet& packet : take()) {
    if (!text.empty()) text += "; ";
    text += packet.text();
  }
  return text;
}

std::string Peer::payloads() {
  std::string text;
  for (const Packet& packet : take()) {
    if (packet.type != PacketType::publish) continue;
    if (!text.empty()) text += " ";
    text += packet.payload;
  }
  return text;
}

Peer& Bed::dial(const ConnectText& connect, unsigned shard, const Limits* own_limits) {
  Conn& conn = net_.open(shard, own_limits == nullptr ? limits : *own_limits);
  Peer& peer = *peers_.emplace_back(std::make_unique<Peer>(*this, connect.version, conn));
  peer.version_ = connect.version;
  return peer.say(connect_packet(connect));
}

Peer& Bed::ready(const ConnectText& text, unsigned shard, const Limits* own_limits) {
  Peer& peer = connect(text, shard, own_limits);
  static_cast<void>(peer.take());
  return peer;
}

void Bed::on_connected(Conn&, std::string_view id, const contract::Connected& record) {
  events.push_back("connected " + std::string(id) +
                   ((record.flags & contract::kConnectSessionPresent) != 0 ? " present" : ""));
}
void Bed::on_disconnected(std::uint64_t, const contract::Disconnected& record) {
  events.push_back("disconnected " + std::to_string(record.cause));
}
void Bed::on_refused(std::uint64_t, const contract::Refused& record) {
  events.push_back("refused " + std::to_string(record.cause));
}
void Bed::on_session_ended(unsigned, std::string_view id, contract::SessionEndCause cause) {
  events.push_back("ended " + std::string(id) + " " + std::to_string(static_cast<int>(cause)));
}
void Bed::on_alert(std::string_view id, const contract::Alert& record) {
  events.push_back("alert " + std::string(id) + " " + std::to_string(record.count));
}

}  // namespace stmqtt::model
