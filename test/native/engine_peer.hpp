// An MQTT client for the engine's tests, over a real socket: what it gets must decode, and it
// answers what a client must.
// Thread: the one that made it.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/clock.hpp"
#include "engine_packets.hpp"
#include "io_fixture.hpp"
#include "runner.hpp"
#include "wire/decode.hpp"
#include "wire/scan.hpp"

namespace stmqtt::test {

/// What comes from a server, packet by packet, with a client's answers.
class Conversation {
 public:
  explicit Conversation(Version version) : version_(version) {}

  std::function<void(std::string_view topic, std::string_view payload)> message;

  /// Handles the whole packets at the front; the rest is left. Answers go behind `out`.
  void take(std::string& bytes, std::string& out) {
    std::size_t at = 0;
    for (;;) {
      const wire::Scan scan = wire::scan(as_bytes(std::string_view(bytes).substr(at)), version_);
      CHECK(scan.status != wire::Scan::Status::malformed);
      if (scan.status != wire::Scan::Status::frame) break;
      const Bytes body =
          as_bytes(std::string_view(bytes).substr(at + scan.header_bytes, scan.remaining_length));
      handle(scan.first_byte, body, out);
      at += scan.total;
    }
    bytes.erase(0, at);
  }

  bool connected = false;        ///< CONNACK with success
  bool session_present = false;
  ReasonCode refusal = ReasonCode::success;      ///< CONNACK with another code
  ReasonCode said_goodbye = ReasonCode::success; ///< DISCONNECT's code; 0 = none came
  std::string goodbye_text;                      ///< its Reason String
  std::set<std::uint16_t> finished;  ///< Packet Identifiers with PUBACK, PUBCOMP, SUBACK, UNSUBACK
  int messages = 0;
  int pings = 0;

 private:
  void handle(std::uint8_t first, Bytes body, std::string& out) {
    const PacketType type = wire::packet_type(first);
    CHECK(connected || type == PacketType::connack);
    switch (type) {
      case PacketType::connack: {
        wire::ConnackView view;
        CHECK_EQ(wire::decode_connack(first, body, version_, view), ReasonCode::success);
        CHECK(!connected);
        connected = view.reason == ReasonCode::success;
        refusal = view.reason;
        session_present = view.session_present;
        break;
      }
      case PacketType::publish: {
        wire::PublishView view;
        CHECK_EQ(wire::decode_publish(first, body, version_, wire::Direction::from_server, view),
                 ReasonCode::success);
        std::string topic(as_text(view.topic));
        if (view.topic_alias != 0) {
          if (!topic.empty()) aliases_[view.topic_alias] = topic;
          topic = aliases_[view.topic_alias];
        }
        CHECK(!topic.empty());
        // A QoS 2 message that is sent again is the same one until PUBREL.
        if (view.qos != 2 || received_.insert(view.packet_id).second) {
          messages++;
          if (message) message(topic, as_text(view.payload));
        }
        if (view.qos == 1) out += ack_of(PacketType::puback, view.packet_id);
        if (view.qos == 2) out += ack_of(PacketType::pubrec, view.packet_id);
        break;
      }
      case PacketType::puback:
      case PacketType::pubrec:
      case PacketType::pubrel:
      case PacketType::pubcomp: {
        wire::AckView view;
        CHECK_EQ(wire::decode_ack(first, body, version_, view), ReasonCode::success);
        if (type == PacketType::pubrel) {
          received_.erase(view.packet_id);
          out += ack_of(PacketType::pubcomp, view.packet_id);
        } else if (type == PacketType::pubrec && !wire::is_error(view.reason)) {
          out += ack_of(PacketType::pubrel, view.packet_id);
        } else {
          finished.insert(view.packet_id);
        }
        break;
      }
      case PacketType::suback:
      case PacketType::unsuback: {
        wire::SubackView view;
        CHECK_EQ(type == PacketType::suback
                     ? wire::decode_suback(first, body, version_, view)
                     : wire::decode_unsuback(first, body, version_, view),
                 ReasonCode::success);
        finished.insert(view.packet_id);
        break;
      }
      case PacketType::pingresp:
        pings++;
        break;
      case PacketType::disconnect: {
        wire::DisconnectView view;
        CHECK_EQ(
            wire::decode_disconnect(first, body, version_, wire::Direction::from_server, view),
            ReasonCode::success);
        said_goodbye = view.reason;
        goodbye_text = as_text(view.properties.view(PropertyId::reason_string));
        break;
      }
      default:
        FAIL("a packet that no server sends");
        break;
    }
  }

  Version version_;
  std::map<std::uint16_t, std::string> aliases_;
  std::set<std::uint16_t> received_;  ///< QoS 2, up to PUBREL
};

/// A Conversation over a socket.
class Peer : public Conversation {
 public:
  Peer(std::uint16_t port, Version version, int receive_buffer_bytes = 0)
      : Conversation(version), version(version), socket_(port, receive_buffer_bytes) {}

  const Version version;

  bool send(std::string_view bytes) { return socket_.connected() && socket_.send(bytes); }
  bool connect(const ConnectSpec& spec) { return send(connect_of(spec)); }
  /// Handles what comes until the condition holds. False: the end, or time is over.
  template <class Condition>
  bool until(Condition&& condition, std::uint64_t wait_ms = kPatienceMs) {
    const std::uint64_t limit = now_ms() + wait_ms;
    while (!condition()) {
      const std::uint64_t now = now_ms();
      if (ended_ || now >= limit) return condition();
      read(static_cast<int>(limit - now));
    }
    return true;
  }
  /// Handles what comes in that time.
  void idle(std::uint64_t ms) {
    static_cast<void>(until([] { return false; }, ms));
  }
  [[nodiscard]] bool open_session(const ConnectSpec& spec) {
    return connect(spec) && until([&] { return connected; });
  }
  /// PUBLISH with QoS 1 or 2, SUBSCRIBE, UNSUBSCRIBE: sends it and waits for its end.
  bool exchange(std::string_view packet, std::uint16_t packet_id) {
    finished.erase(packet_id);
    return send(packet) && until([&] { return finished.contains(packet_id); });
  }
  [[nodiscard]] bool wait_end(std::uint64_t ms = kPatienceMs) {
    return until([&] { return ended_; }, ms);
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool opened() const { return socket_.connected(); }
  void close() { socket_.close(); }
  void reset() { socket_.reset(); }

 private:
  void read(int wait_ms) {
    pollfd ready = {socket_.fd(), POLLIN, 0};
    if (::poll(&ready, 1, wait_ms) <= 0) return;
    char chunk[16384];
    const ssize_t got = ::recv(socket_.fd(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      ended_ = true;
      return;
    }
    if (got < 0) return;
    unread_.append(chunk, static_cast<std::size_t>(got));
    std::string out;
    take(unread_, out);
    if (!out.empty()) static_cast<void>(send(out));
  }

  Client socket_;
  std::string unread_;
  bool ended_ = false;
};

}  // namespace stmqtt::test
