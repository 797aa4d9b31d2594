// A client as the protocol wants it: keeps its session's state over connections, resends, answers
// in order. What it does and when is the director's choice.
// Thread: one.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/world.hpp"
#include "route_naive.hpp"

namespace stmqtt::model {

class Device {
 public:
  Device(World& world, int index, Version version, naive::Rng& rng);

  void connect(unsigned shard, const ConnectText& connect);
  /// The connection breaks; some of what is on the wire may still reach the broker.
  void drop();
  void disconnect(ReasonCode reason, std::int64_t expiry_s);

  /// Sends it now, or when the broker's Receive Maximum allows.
  void publish(int text);
  void subscribe(const std::vector<FilterText>& filters, std::uint32_t id);
  void unsubscribe(const std::vector<std::string>& filters);
  void ping();
  /// Reads at most `bytes` and answers, into its own list.
  void read(std::size_t bytes);
  /// Sends at most `count` of the answers.
  void answer(std::size_t count);
  void send_waiting();

  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] Version version() const { return version_; }
  [[nodiscard]] Line* line() { return line_; }
  [[nodiscard]] bool connected() const { return line_ != nullptr && connected_; }
  [[nodiscard]] bool has_answers() const { return !answers_.empty(); }
  [[nodiscard]] bool has_unfinished() const { return !outgoing_.empty(); }
  [[nodiscard]] std::size_t unfinished() const { return outgoing_.size(); }
  [[nodiscard]] std::string unfinished_text() const;

 private:
  struct Outgoing {
    int text = 0;
    std::uint16_t packet_id = 0;
    std::uint8_t qos = 1;
    bool sent = false;
    bool ever_sent = false;
    bool released = false;  ///< PUBREC came: PUBREL is what is resent
  };
  void handle(const Packet& packet);
  void on_connack(const Packet& packet);
  void take_publish(const Packet& packet);
  void lose_connection();
  void send_publish(Outgoing& message, bool dup);
  void queue_answer(PacketType type, std::uint16_t packet_id,
                    ReasonCode reason = ReasonCode::success);
  [[nodiscard]] std::uint16_t free_id();
  [[nodiscard]] Outgoing* find(std::uint16_t packet_id);

  World& world_;
  const int index_;
  const std::string id_;
  const Version version_;
  naive::Rng& rng_;
  Line* line_ = nullptr;
  PacketReader reader_;
  bool connected_ = false;
  int session_ = -1;  ///< whose state it keeps
  std::size_t window_ = 20;
  std::uint16_t request_id_ = 1000;
  std::deque<Outgoing> outgoing_;
  std::map<std::uint16_t, bool> incoming_;  ///< QoS 2 identifiers not released yet
  std::deque<std::pair<Sent, std::string>> answers_;
};

}  // namespace stmqtt::model
