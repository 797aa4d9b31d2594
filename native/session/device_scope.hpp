// Whose device topics a client may use, and what `me` stands for: the step between a client's topics
// and the internal ones that comes before the tenant's.
// In the path: CONNECT settles who it is; PUBLISH, SUBSCRIBE, UNSUBSCRIBE and Wills ask here.
// Thread: the shard's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/vec.hpp"
#include "session/device_topics.hpp"
#include "session/session.hpp"

namespace stmqtt {

struct ConnectState;

enum class MeUse : std::uint8_t { publish, subscribe, unsubscribe };
/// What became of a topic by `me`.
enum class MeFit : std::uint8_t { fits, no_id, unfit_id, pattern, too_long };

/// Whom a step is about. Borrowed for the call.
struct MeSubject {
  std::uint8_t flags = 0;  ///< DeviceFlag bits
  bool is_link = false;
  TenantMode tenant_mode = TenantMode::off;
  DeviceSelf self;
};

class DeviceScope {
 public:
  DeviceScope() : options_(std::make_shared<const DeviceOptions>()) {}

  /// For clients that connect from now on; the patterns for everybody.
  void set_options(std::shared_ptr<const DeviceOptions> options) noexcept {
    options_ = std::move(options);
  }

  [[nodiscard]] bool id_from_client() const noexcept { return options_->id_from_client; }

  [[nodiscard]] static MeSubject subject_of(const Session& session) noexcept {
    return {session.device, session.is_link, session.limits().tenant_mode, session.device_self()};
  }
  /// Of a client whose CONNECT is being looked at.
  [[nodiscard]] MeSubject subject_of(const Client& client) const noexcept;

  /// Makes the Topic Name, or the filter without its $share part, that of the client's own device
  /// where it is by `me`; of a link that is none, in filters, that of all. Before the tenant's
  /// step. The result is valid until the next call.
  [[nodiscard]] MeFit enter(const MeSubject& who, Bytes& topic, MeUse use) noexcept;
  [[nodiscard]] MeFit enter(const Session& session, Bytes& topic, MeUse use) noexcept {
    return enter(subject_of(session), topic, use);
  }

  /// Who the client of this session is from now on, before the session takes its identity over.
  void settle(const Client& client, Session& session) const noexcept;
  /// At a re-authentication: which device it is stays.
  static void change_role(Session& session, contract::Role role) noexcept;

 private:
  /// DeviceFlag bits of a client that connects.
  [[nodiscard]] std::uint8_t flags_of(const Client& client) const noexcept;

  std::shared_ptr<const DeviceOptions> options_;  ///< never null
  PoolVector<std::uint8_t> buffer_;
};

/// DeviceFlag bits of a connected client that has another role from now on.
[[nodiscard]] std::uint8_t device_flags_with_role(std::uint8_t flags, contract::Role role,
                                                  std::size_t subscriptions) noexcept;

}  // namespace stmqtt
