// Topic Aliases both ways, the forms of a publication, the remaining Message Expiry Interval.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "model/packets.hpp"
#include "route_naive.hpp"
#include "runner.hpp"
#include "session/publication.hpp"
#include "session/topic_aliases.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

OutgoingAliases::Use use(OutgoingAliases& aliases, const std::string& topic) {
  return aliases.use(as_bytes(topic), hash_bytes(as_bytes(topic), 0));
}

STMQTT_TEST("aliases: what the client set is found, replaced, and nothing else") {
  IncomingAliases aliases(5);
  CHECK(aliases.find(1).empty());
  CHECK(aliases.find(0).empty());
  aliases.set(5, as_bytes("five"));
  aliases.set(2, as_bytes("two"));
  CHECK_EQ(as_text(aliases.find(5)), "five");
  CHECK_EQ(as_text(aliases.find(2)), "two");
  CHECK(aliases.find(3).empty());  // grown over, never set
  CHECK(aliases.find(6).empty());
  aliases.set(5, as_bytes("a longer name for five"));
  CHECK_EQ(as_text(aliases.find(5)), "a longer name for five");
}

STMQTT_TEST("aliases: a topic gets one at its second use, and is left out once the client knows") {
  OutgoingAliases aliases(2);
  CHECK_EQ(use(aliases, "a").alias, 0);
  const auto second = use(aliases, "a");
  CHECK_EQ(second.alias, 1);
  CHECK(!second.known);
  // Not committed: the packet did not go out, so the client does not know it.
  const auto third = use(aliases, "a");
  CHECK_EQ(third.alias, 1);
  CHECK(!third.known);
  aliases.commit(third);
  CHECK(use(aliases, "a").known);
  CHECK_EQ(use(aliases, "b").alias, 0);
}

STMQTT_TEST("aliases: the one not used for longest is taken over, and the new topic is said") {
  OutgoingAliases aliases(2);
  for (const char* topic : {"a", "b"}) {
    static_cast<void>(use(aliases, topic));
    aliases.commit(use(aliases, topic));
  }
  CHECK(use(aliases, "a").known);  // now "b" is the older one
  static_cast<void>(use(aliases, "c"));
  const auto c = use(aliases, "c");
  CHECK_EQ(c.alias, 2);
  CHECK(!c.known);
  aliases.commit(c);
  CHECK(use(aliases, "c").known);
  CHECK(use(aliases, "a").known);
  CHECK_EQ(use(aliases, "b").alias, 2);  // it was seen before, so it takes the oldest again
}

STMQTT_TEST("aliases: a client that follows them always knows the topic") {
  Rng rng(test::seed());
  for (const std::uint16_t maximum : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{20}}) {
    OutgoingAliases aliases(maximum);
    std::map<std::uint16_t, std::string> client;
    for (int step = 0; step < 5000; ++step) {
      const std::string topic = "t/" + std::to_string(rng.below(maximum * 3U));
      const auto how = use(aliases, topic);
      REQUIRE(how.alias <= maximum);
      if (how.known) {
        REQUIRE(how.alias != 0);
        REQUIRE_EQ(client[how.alias], topic);
      } else if (rng.below(10) != 0) {  // else the packet was not sent
        if (how.alias != 0) client[how.alias] = topic;
        aliases.commit(how);
      }
    }
  }
}

std::string form_of(Publication& publication, wire::Version version, std::uint8_t qos, bool retain,
                    std::uint64_t now_ms) {
  const PublishForm& form = publication.form(version, qos, retain, 0, now_ms);
  std::string bytes(reinterpret_cast<const char*>(form.data), form.bytes);
  if (publication.payload_is_shared()) bytes += as_text(publication.parts().payload);
  return bytes;
}

STMQTT_TEST("publication: each form is the PUBLISH that it says, encoded once") {
  FormScratch scratch;
  for (const std::size_t payload_bytes : {std::size_t{0}, std::size_t{20}, std::size_t{20'000}}) {
    const std::string payload(payload_bytes, 'p');
    const std::string properties("\x26\0\1p\0\1v", 7);
    MessageParts parts;
    parts.topic = as_bytes("a/b");
    parts.payload = as_bytes(payload);
    parts.properties = as_bytes(properties);
    parts.expires_at_ms = 10'000;
    parts.qos = 2;
    Publication publication(parts, scratch);
    for (const auto version : {wire::Version::v31, wire::Version::v311, wire::Version::v5}) {
      for (std::uint8_t qos = 0; qos < 3; ++qos) {
        for (const bool retain : {false, true}) {
          model::PacketReader reader(version);
          const std::string bytes = form_of(publication, version, qos, retain, 7'500);
          reader.add(bytes);
          model::Packet packet;
          REQUIRE(reader.next(packet));
          CHECK(reader.empty());
          CHECK_EQ(packet.topic, "a/b");
          CHECK_EQ(packet.payload, payload);
          CHECK_EQ(packet.qos, qos);
          CHECK_EQ(packet.retain, retain);
          CHECK(!packet.dup);
          const bool v5 = version == wire::Version::v5;
          CHECK_EQ(packet.has_expiry, v5);
          if (v5) CHECK_EQ(packet.expiry_s, 3);  // 2.5 s are left: a second begun is not over
          CHECK_EQ(packet.user_value, v5 ? "v" : "");
          const PublishForm& form = publication.form(version, qos, retain, 0, 7'500);
          CHECK_EQ(form.packet_bytes, bytes.size());
          if (qos != 0) {
            CHECK_EQ(load_u16(form.data + form.packet_id_at), 1);  // where send patches it in
          }
          // Asked again, also later: the same bytes in the same place.
          CHECK(publication.form(version, qos, retain, 0, 9'999).data == form.data);
        }
      }
    }
  }
}

STMQTT_TEST("publication: the counted block is made once and holds all parts") {
  FormScratch scratch;
  MessageParts parts;
  parts.topic = as_bytes("topic");
  parts.payload = as_bytes("payload");
  parts.publisher = {5, 6, 7};
  parts.qos = 1;
  parts.retain = true;
  MessageRef kept;
  {
    Publication publication(parts, scratch);
    CHECK_EQ(publication.retain_sequence(), 0);
    CHECK_EQ(publication.logical_bytes(), 12);
    Message& block = publication.block();
    CHECK(&block == &publication.block());
    block.set_retain_sequence(9);
    CHECK_EQ(publication.retain_sequence(), 9);
    kept = MessageRef::share(&block);
  }
  Publication again(*kept, scratch);
  CHECK(&again.block() == kept.get());
  CHECK_EQ(as_text(again.parts().topic), "topic");
  CHECK_EQ(as_text(again.parts().payload), "payload");
  CHECK_EQ(again.parts().qos, 1);
  CHECK(again.parts().retain);
  CHECK(again.parts().publisher == SessionRef{5, 6, 7});
}

STMQTT_TEST("publication: the frame it came in serves receivers of its version only") {
  FormScratch scratch;
  const std::string frame = "the very bytes";
  MessageParts parts;
  parts.topic = as_bytes("t");
  parts.payload = as_bytes("p");
  Publication publication(parts, scratch);
  publication.offer_frame(wire::Version::v311, as_bytes(frame), 0);
  CHECK_EQ(form_of(publication, wire::Version::v311, 0, false, 0), frame);
  CHECK_EQ(form_of(publication, wire::Version::v31, 0, false, 0), frame);  // the same PUBLISH
  CHECK_NE(form_of(publication, wire::Version::v5, 0, false, 0), frame);
  CHECK_NE(form_of(publication, wire::Version::v311, 0, true, 0), frame);
  CHECK_NE(form_of(publication, wire::Version::v311, 1, false, 0), frame);
}

STMQTT_TEST("publication: remaining expiry") {
  std::uint32_t seconds = 77;
  CHECK(!remaining_expiry(0, 5, seconds));
  CHECK(remaining_expiry(5000, 1, seconds));
  CHECK_EQ(seconds, 5);
  CHECK(remaining_expiry(5000, 4000, seconds));
  CHECK_EQ(seconds, 1);
  CHECK(remaining_expiry(5000, 5000, seconds));
  CHECK_EQ(seconds, 0);
  CHECK(remaining_expiry(5000, 9000, seconds));
  CHECK_EQ(seconds, 0);
}

}  // namespace
