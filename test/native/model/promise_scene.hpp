// The scene of the tests on promises: a store that grants and fails its tickets on demand.
// Place: test/native only.
#pragma once

#include <string>

#include "model/bed.hpp"

namespace stmqtt::model {

inline ConnectText client(const std::string& id, std::uint32_t expiry_s = 0,
                          Version version = Version::v5) {
  ConnectText text;
  text.version = version;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

inline NetOptions on_demand() {
  NetOptions options;
  options.gate = TestGate::Mode::on_demand;
  return options;
}

/// A persistent subscriber to "d" (durable), one that is not to "q" (quick); nothing waits.
struct PromiseScene {
  PromiseScene() : bed(on_demand()) {
    durable = &bed.ready(client("durable", 3600));
    quick = &bed.ready(client("quick"));
    durable->subscribe("d", 2);
    quick->subscribe("q", 2).subscribe("both", 2);
    durable->subscribe("both", 2);
    bed.settle();
    static_cast<void>(durable->take());
    static_cast<void>(quick->take());
    bed.tickets = Net::Tickets::keep;
  }
  void grant(std::size_t count = SIZE_MAX) {
    gate().grant(count);
    bed.settle();
  }
  void fail(std::size_t count = SIZE_MAX) {
    gate().fail(count);
    bed.settle();
  }
  TestGate& gate() { return bed.net().gate(0); }
  Peer& publisher(std::uint32_t expiry_s = 0, Version version = Version::v5) {
    bed.tickets = Net::Tickets::grant;
    Peer& peer = bed.ready(client("publisher", expiry_s, version));
    bed.tickets = Net::Tickets::keep;
    return peer;
  }

  Bed bed;
  Peer* durable;
  Peer* quick;
};

}  // namespace stmqtt::model
