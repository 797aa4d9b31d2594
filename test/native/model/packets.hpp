// Control Packets as a test's clients write and read them: whole packets as strings, what the
// broker sends as plain values. Through wire/, which has tests of its own.
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "wire/reason_code.hpp"
#include "wire/types.hpp"

namespace stmqtt::model {

using wire::PacketType;
using wire::ReasonCode;
using wire::Version;

struct ConnectText {
  Version version = Version::v5;
  std::string client_id = "c";
  std::string username;
  bool clean_start = true;
  std::uint32_t session_expiry_s = 0;  ///< v5 only, like all that follow up to the Will
  std::uint16_t receive_maximum = 0;   ///< 0 = not said
  std::uint32_t maximum_packet = 0;
  std::uint16_t alias_maximum = 0;
  std::uint16_t keep_alive_s = 0;
  bool has_will = false;
  std::string will_topic;
  std::string will_payload;
  std::uint8_t will_qos = 0;
  bool will_retain = false;
  std::uint32_t will_delay_s = 0;
  std::uint32_t will_expiry_s = 0;
};
[[nodiscard]] std::string connect_packet(const ConnectText& connect);

struct PublishText {
  Version version = Version::v5;
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  std::uint16_t packet_id = 0;
  std::uint32_t expiry_s = 0;  ///< 0 = none
  std::uint16_t alias = 0;
  std::string user_value;  ///< of the User Property "p"; empty = none
};
[[nodiscard]] std::string publish_packet(const PublishText& publish);

[[nodiscard]] std::string ack_packet(PacketType type, Version version, std::uint16_t packet_id,
                                     ReasonCode reason = ReasonCode::success);

struct FilterText {
  std::string filter;  ///< with $share/…
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
};
[[nodiscard]] std::string subscribe_packet(Version version, std::uint16_t packet_id,
                                           const std::vector<FilterText>& filters,
                                           std::uint32_t subscription_id = 0);
[[nodiscard]] std::string unsubscribe_packet(Version version, std::uint16_t packet_id,
                                             const std::vector<std::string>& filters);
/// `expiry_s` -1 = not said.
[[nodiscard]] std::string disconnect_packet(Version version,
                                            ReasonCode reason = ReasonCode::success,
                                            std::int64_t expiry_s = -1);
[[nodiscard]] std::string pingreq_packet();

/// What the broker sent.
struct Packet {
  PacketType type = PacketType::connack;
  ReasonCode reason = ReasonCode::success;  ///< CONNACK, acknowledgements, DISCONNECT
  bool session_present = false;
  std::uint16_t packet_id = 0;
  std::uint8_t qos = 0;
  bool dup = false;
  bool retain = false;
  bool has_expiry = false;
  bool topic_left_out = false;  ///< only an alias came
  std::uint16_t alias = 0;
  std::uint32_t expiry_s = 0;
  std::uint32_t receive_maximum = 0;  ///< CONNACK; 0 = not said
  std::string topic;                  ///< resolved
  std::string payload;
  std::string user_value;
  std::string reason_string;
  std::string assigned_id;
  std::vector<std::uint32_t> subscription_ids;
  std::vector<ReasonCode> reasons;  ///< SUBACK, UNSUBACK
  std::size_t bytes = 0;            ///< of the whole packet

  [[nodiscard]] std::string text() const;
};

/// Takes the bytes of one connection apart, in any pieces. Topic Aliases are resolved.
class PacketReader {
 public:
  explicit PacketReader(Version version = Version::v5) : version_(version) {}
  void set_version(Version version) { version_ = version; }
  void add(std::string_view bytes) { buffer_ += bytes; }
  /// False where no whole packet is left. A packet that wire/ refuses leaves a fault().
  [[nodiscard]] bool next(Packet& out);
  [[nodiscard]] const std::string& fault() const { return fault_; }
  [[nodiscard]] bool empty() const { return buffer_.empty(); }

 private:
  Version version_;
  std::string buffer_;
  std::string fault_;
  std::map<std::uint16_t, std::string> aliases_;
};

}  // namespace stmqtt::model
