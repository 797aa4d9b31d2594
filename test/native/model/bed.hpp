// A net with scripted clients, for tests that play one scene step by step.
// Thread: one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/net.hpp"
#include "model/packets.hpp"

namespace stmqtt::model {

class Bed;

/// A client of the scene: it says what the test tells it to and answers nothing by itself.
class Peer {
 public:
  Peer(Bed& bed, Version version, Conn& conn) : bed_(bed), conn_(&conn), reader_(version) {}

  /// Puts it on the wire; nothing happens yet.
  Peer& say(std::string_view bytes) {
    conn_->to_broker += bytes;
    return *this;
  }
  Peer& publish(const std::string& topic, const std::string& payload, std::uint8_t qos = 0,
                std::uint16_t packet_id = 0, bool retain = false);
  Peer& subscribe(const std::string& filter, std::uint8_t qos = 0, std::uint16_t packet_id = 900);
  Peer& ack(PacketType type, std::uint16_t packet_id, ReasonCode reason = ReasonCode::success);
  /// The network connection breaks: the broker is not told until it looks.
  void cut() { conn_->peer_closed = true; }

  /// Everything that came since the last call.
  [[nodiscard]] std::vector<Packet> take();
  /// take(), of which the text of each packet is joined by "; ".
  [[nodiscard]] std::string took();
  /// Payloads of the PUBLISH packets of take().
  [[nodiscard]] std::string payloads();

  [[nodiscard]] Conn& conn() { return *conn_; }
  [[nodiscard]] Version version() const { return version_; }
  [[nodiscard]] bool closed() const { return conn_->closed; }

 private:
  friend class Bed;
  Bed& bed_;
  Conn* conn_;
  PacketReader reader_;
  Version version_ = Version::v5;
};

class Bed : public NetListener {
 public:
  explicit Bed(const NetOptions& options = {}) : net_(options, *this) {}

  /// Opens a connection and puts CONNECT on the wire.
  Peer& dial(const ConnectText& connect, unsigned shard = 0, const Limits* limits = nullptr);
  /// The same, and lets everything happen; CONNACK is left for take() to find.
  Peer& connect(const ConnectText& connect, unsigned shard = 0, const Limits* limits = nullptr) {
    Peer& peer = dial(connect, shard, limits);
    net_.settle(tickets);
    return peer;
  }
  /// Connected, and its CONNACK was taken.
  Peer& ready(const ConnectText& connect, unsigned shard = 0, const Limits* limits = nullptr);
  void settle() { net_.settle(tickets); }

  [[nodiscard]] Net& net() { return net_; }
  [[nodiscard]] std::int64_t counter(contract::Counter name) const { return net_.counter(name); }

  Limits limits;
  Net::Tickets tickets = Net::Tickets::grant;
  std::vector<std::string> events;  ///< what TypeScript would have heard, in words
  std::vector<CommitNote> commits;
  std::vector<contract::Written> written;  ///< outcomes of DirectWrites

 private:
  void on_connected(Conn&, std::string_view id, const contract::Connected& record) override;
  void on_disconnected(std::uint64_t, const contract::Disconnected& record) override;
  void on_refused(std::uint64_t, const contract::Refused& record) override;
  void on_session_ended(unsigned, std::string_view id,
                        contract::SessionEndCause cause) override;
  void on_alert(std::string_view id, const contract::Alert& record) override;
  void on_commit(unsigned, const CommitNote& note) override { commits.push_back(note); }
  void on_written(const contract::Written& record) override { written.push_back(record); }

  Net net_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace stmqtt::model
