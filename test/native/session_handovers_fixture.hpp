// What scenes and properties of logs for their first subscriber have in common.
// Thread: one.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "model/bed.hpp"
#include "runner.hpp"

namespace stmqtt::test {

using namespace stmqtt::model;

inline ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

struct BacklogScene {
  explicit BacklogScene(unsigned shards = 3, LogOptions options = {}) : bed(net_options(shards)) {
    options.replay = LogReplay::backlog;
    options.settle();
    const auto shared = std::make_shared<const LogOptions>(std::move(options));
    for (unsigned shard = 0; shard < shards; ++shard) {
      bed.net().shard(shard).set_now(bed.net().now_ms());
      bed.net().shard(shard).logs().set_options(shared);
    }
    bed.limits.dynamic_filters = true;
    publisher = &bed.ready(client("publisher"), 0);
  }
  static NetOptions net_options(unsigned shards) {
    NetOptions options;
    options.shards = shards;
    return options;
  }
  std::string publish(const std::string& topic, const std::string& payload, std::uint8_t qos = 1,
                      bool retain = false) {
    publisher->publish(topic, payload, qos, qos == 0 ? 0 : 7, retain);
    bed.settle();
    return publisher->took();
  }
  [[nodiscard]] std::uint64_t cost() { return bed.net().tables().logs.cost.load(); }

  Bed bed;
  Peer* publisher;
};

}  // namespace stmqtt::test
