// Client Identifiers that are connected already, by listener: takeover, or the newer one is refused.
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session_access_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using namespace stmqtt::test;
using contract::CloseCause;
using contract::Counter;

Limits rejecting() {
  Limits limits;
  limits.duplicates = DuplicateClientId::reject;
  return limits;
}

STMQTT_TEST("duplicates: reject refuses the newer one with 0x85, 3.x with 2, and the older one stays") {
  const Limits strict = rejecting();
  Bed bed(threads(2));
  Peer& old = bed.ready(named("c"), 0, &strict);
  CHECK_EQ(bed.connect(named("c"), 1, &strict).took(), "CONNACK client_identifier_not_valid");
  ConnectText v3 = named("c");
  v3.version = Version::v311;
  CHECK_EQ(bed.connect(v3, 0, &strict).took(), "CONNACK client_identifier_not_valid");
  CHECK(!old.closed());
  old.subscribe("t");
  bed.settle();
  CHECK_EQ(old.took(), "SUBACK id 900");
  CHECK_EQ(bed.counter(contract::refused_counter(CloseCause::duplicate_client_id)), 2);
  CHECK_EQ(bed.counter(Counter::takeovers), 0);
}

STMQTT_TEST("duplicates: the option of the newer one's listener counts") {
  const Limits strict = rejecting();
  const Limits plain;
  Bed bed;
  Peer& first = bed.ready(named("c"), 0, &strict);
  Peer& second = bed.connect(named("c"), 0, &plain);
  CHECK_EQ(second.took(), "CONNACK");
  CHECK(first.closed());
  CHECK_EQ(bed.connect(named("c"), 0, &strict).took(), "CONNACK client_identifier_not_valid");
  CHECK(!second.closed());
}

STMQTT_TEST("duplicates: a session whose client is away is no duplicate, and is resumed") {
  const Limits strict = rejecting();
  Bed bed(threads(2));
  bed.ready(persistent("c"), 0, &strict).cut();
  bed.settle();
  Peer& again = bed.connect(persistent("c"), 1, &strict);
  CHECK_EQ(again.took(), "CONNACK session present");
  // Nor does a refused one touch what is there: Clean Start ends no session.
  CHECK_EQ(bed.connect(named("c"), 0, &strict).took(), "CONNACK client_identifier_not_valid");
  again.cut();
  bed.settle();
  CHECK_EQ(bed.connect(persistent("c"), 0, &strict).took(), "CONNACK session present");
}

STMQTT_TEST("duplicates: Keep Alive lets a new one in where the old one is half-open") {
  const Limits strict = rejecting();
  Bed bed;
  ConnectText text = named("c");
  text.keep_alive_s = 10;
  bed.ready(text, 0, &strict);
  bed.net().advance(14'000);
  bed.settle();
  CHECK_EQ(bed.connect(text, 0, &strict).took(), "CONNACK client_identifier_not_valid");
  bed.net().advance(2'000);
  bed.settle();
  CHECK_EQ(bed.connect(text, 0, &strict).took(), "CONNACK");
}

STMQTT_TEST("duplicates: another user is told that it is not authorized, not that it is there") {
  const Limits strict = rejecting();
  NetOptions options;
  options.authenticate = true;
  Bed bed(options);
  ConnectText text = named("c");
  text.username = "a";
  Peer& first = bed.dial(text, 0, &strict);
  bed.settle();
  bed.net().verdict(first.conn(), accepting());
  bed.settle();
  CHECK_EQ(first.took(), "CONNACK");
  text.username = "b";
  Peer& second = bed.dial(text, 0, &strict);
  bed.settle();
  bed.net().verdict(second.conn(), accepting());
  bed.settle();
  CHECK_EQ(second.took(), "CONNACK not_authorized");
}

STMQTT_TEST("duplicates: one that is refused counts for no flapping, which would ban the other") {
  const Limits strict = rejecting();
  Bed bed;
  bed.net().tables().flaps.set({3, 60'000, 60});
  Peer& old = bed.ready(named("c"), 0, &strict);
  for (int attempt = 0; attempt < 10; ++attempt) {
    CHECK_EQ(bed.connect(named("c"), 0, &strict).took(), "CONNACK client_identifier_not_valid");
  }
  CHECK(!old.closed());
  CHECK_EQ(bed.counter(Counter::bans_flapping), 0);
}

}  // namespace
