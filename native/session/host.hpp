// What a shard needs from its surroundings: other threads, the connection under a client, and
// TypeScript. The engine implements it over sockets and rings, the model tests over plain lists.
// Thread: all calls come from the shard's thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/ip_address.hpp"
#include "base/message.hpp"
#include "base/pause_cause.hpp"
#include "contract/records.hpp"
#include "route/match_result.hpp"
#include "route/shared_group.hpp"
#include "session/limits.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt {

class Client;

enum class CloseMode : std::uint8_t {
  flush,  ///< send what is queued first, within the host's deadline
  now,
};

struct LogBatch;
struct LogBatchDeleter {
  void operator()(LogBatch* batch) const noexcept;
};
using LogBatchRef = std::unique_ptr<LogBatch, LogBatchDeleter>;

/// A message for another thread's sessions. One FIFO for each ordered pair of threads keeps order.
struct CrossItem {
  enum class Kind : std::uint8_t {
    publish,     ///< message, match: deliver to the receiving thread's partition
    shared,      ///< message, members, member: deliver to this member, or pick again
    log,         ///< message, number: nobody has subscribed to it, and its log lives there
    log_room,    ///< logs there are to go, for the bounds of all
    log_barrier, ///< session, message: has subscribed to its topic; see log_handovers.hpp
    log_seal,    ///< session, message: the sender matches that subscription from here on
    log_batch,   ///< batch: what a thread's logs have for a session
    log_return,  ///< batch: its messages go back into their logs
    disconnect,  ///< session, reason, and as the message's payload the Reason String, if any:
                 ///< close its client
  };
  Kind kind = Kind::publish;
  std::uint8_t tried = 0;               ///< shared: how many members were found gone before
  wire::ReasonCode reason = wire::ReasonCode::success;
  SessionRef session;
  MessageRef message;
  MatchRef match;
  SharedMembersRef members;
  SharedMemberRef member;
  LogBatchRef batch;

  /// Of kinds without a session: in its place.
  void set_number(std::uint64_t number) noexcept {
    session.slot = static_cast<std::uint32_t>(number);
    session.generation = static_cast<std::uint32_t>(number >> 32);
  }
  [[nodiscard]] std::uint64_t number() const noexcept {
    return std::uint64_t{session.generation} << 32 | session.slot;
  }
};

/// What a link was opened as. Borrowed.
struct LinkSelf {
  Bytes device_id;
  contract::Role role = contract::Role::unset;
};

class Host {
 public:
  virtual ~Host() = default;
  /// Never blocks. Order is kept for each pair of threads.
  virtual void post(ThreadIndex to, CrossItem&& item) noexcept = 0;
  /// Other threads have not yet taken all that was posted to them.
  [[nodiscard]] virtual bool crossing() const noexcept = 0;
  /// Notes what is on its way now; passed_mark(): all of that was taken since.
  virtual void mark_crossing() noexcept = 0;
  [[nodiscard]] virtual bool passed_mark() const noexcept = 0;
  /// The outboxes hold more than their bound: publishers should pause.
  [[nodiscard]] virtual bool congested() const noexcept = 0;
  /// Sends an event record: `fixed` starts with a RecordHeader, which the host fills in; the
  /// strings follow in the order of the record's *_bytes fields (already set).
  /// False: it was left out, because nobody listens or because TypeScript is far behind.
  virtual bool event(contract::EventKind kind, contract::RecordHeader& fixed,
                     std::size_t fixed_bytes, std::initializer_list<Bytes> strings) noexcept = 0;
  /// A query that asked for a change has its Reason Code.
  virtual void answer(std::uint64_t query_id, wire::ReasonCode code) noexcept = 0;
  /// A DirectWrite has its outcome; never left out. The host fills in the header.
  virtual void written(contract::Written& event) noexcept = 0;
  /// The connection and its ConnectState go to another thread's shard, which calls
  /// Shard::arrive(). The client object ends here.
  virtual void move_client(Client& client, ThreadIndex to) noexcept = 0;
  /// The connection is to be closed; the client object ends, its Outlet lives until flushed.
  virtual void close_client(Client& client, CloseMode mode,
                            contract::CloseCause cause) noexcept = 0;
  /// The client has taken its leave, and there is nothing more to send. True: nothing is read from it
  /// any more, and its end comes when those who stay have been served, with Shard::on_end().
  [[nodiscard]] virtual bool put_off_end(Client& /*client*/) noexcept { return false; }
  virtual void pause(Client& client, PauseCause cause) noexcept = 0;
  virtual void resume(Client& client, PauseCause cause) noexcept = 0;
  /// To a packet tap: what was written to the client and not shown yet. Before its next packet, so
  /// that answers stand behind what they answer, and before it is closed.
  virtual void show_written(Client& /*client*/) noexcept {}
  /// Shard::taps() may say something else now.
  virtual void tap_changed() noexcept {}
  /// Text of the peer's address in `buffer` (at least kAddressBytes).
  static constexpr std::size_t kAddressBytes = 112;
  [[nodiscard]] virtual Bytes address(const Client& client, char* buffer) const noexcept = 0;
  /// What is under a client.
  [[nodiscard]] virtual contract::Transport transport(const Client& /*client*/) const noexcept {
    return contract::Transport::tcp;
  }
  /// DER of the certificate that the client has proven to own; empty = none. Borrowed for the call.
  [[nodiscard]] virtual Bytes certificate(const Client& /*client*/) const noexcept { return {}; }
  /// Where the client is; unknown for a Unix socket.
  [[nodiscard]] virtual IpAddress ip_address(const Client& /*client*/) const noexcept { return {}; }
  /// The name of a listener; empty if there is none. Borrowed; valid as long as the host.
  [[nodiscard]] virtual Bytes listener_name(std::uint32_t /*id*/) const noexcept { return {}; }
  /// Of a listener; asked for each CONNECT.
  [[nodiscard]] virtual Admission admission(std::uint32_t /*listener*/) const noexcept {
    return Admission::judged;
  }
  /// Of a link that has not sent its CONNECT yet. Borrowed for the call.
  [[nodiscard]] virtual LinkSelf link_self(const Client& /*client*/) const noexcept { return {}; }
  /// How long bytes of it have been waiting for us since that was last asked; 0 = none do. What
  /// waited longer and was not asked for is told to Shard::on_waited().
  [[nodiscard]] virtual std::uint64_t take_wait_ms(Client& /*client*/) noexcept { return 0; }
  /// CONNACK 0 is on its way.
  virtual void admitted(Client& /*client*/) noexcept {}
  [[nodiscard]] virtual std::uint64_t random() noexcept = 0;
  /// Writes a version 4 UUID.
  virtual void make_uuid(char out[36]) noexcept = 0;
};

}  // namespace stmqtt
