// wire/property_table.hpp and wire/properties.hpp: each row in each place, each rule at its bounds.
#include <string>
#include <vector>

#include "runner.hpp"
#include "wire/properties.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using Encoded = std::vector<std::uint8_t>;

constexpr PacketType kAllTypes[] = {
    PacketType::connect,    PacketType::connack,    PacketType::publish,     PacketType::puback,
    PacketType::pubrec,     PacketType::pubrel,     PacketType::pubcomp,     PacketType::subscribe,
    PacketType::suback,     PacketType::unsubscribe, PacketType::unsuback,   PacketType::pingreq,
    PacketType::pingresp,   PacketType::disconnect, PacketType::auth};

/// The property with a value that is valid: 1, or the text "ab".
Encoded sample(const PropertyRow& row, std::uint8_t value = 1) {
  const auto id = static_cast<std::uint8_t>(row.id);
  switch (row.type) {
    case PropertyType::byte:
    case PropertyType::varint: return {id, value};
    case PropertyType::u16: return {id, 0, value};
    case PropertyType::u32: return {id, 0, 0, 0, value};
    case PropertyType::text:
    case PropertyType::binary: return {id, 0, 2, 'a', 'b'};
    case PropertyType::text_pair: return {id, 0, 1, 'k', 0, 2, 'a', 'b'};
  }
  return {};
}
Encoded operator+(Encoded left, const Encoded& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}
unsigned decode(const Encoded& bytes, PacketType type, Properties& out) {
  return static_cast<unsigned>(decode_properties(bytes, type, out));
}

STMQTT_TEST("wire properties: the table is in order and its slots are apart") {
  std::uint64_t slots[2] = {};
  int last = 0;
  for (const PropertyRow& row : property_table()) {
    CHECK_GT(static_cast<int>(row.id), last);
    last = static_cast<int>(row.id);
    CHECK_EQ(property_row(std::uint32_t{static_cast<std::uint8_t>(row.id)}), &row);
    CHECK_EQ(row.repeats & ~row.places, 0);
    if (row.type == PropertyType::text_pair) continue;
    const bool view = row.type == PropertyType::text || row.type == PropertyType::binary;
    CHECK_LT(row.slot, view ? kViewSlots : kNumberSlots);
    CHECK_EQ(slots[view] >> row.slot & 1, 0u);
    slots[view] |= std::uint64_t{1} << row.slot;
  }
  CHECK_EQ(slots[0], (std::uint64_t{1} << kNumberSlots) - 1);
  CHECK_EQ(slots[1], (std::uint64_t{1} << kViewSlots) - 1);
  for (const std::uint32_t id : {0u, 4u, 7u, 0x0Au, 0x14u, 0x1Bu, 0x2Bu, 0x7Fu, 0xFFu, 0xFFFFFFFFu}) {
    CHECK_EQ(property_row(id), nullptr);
  }
}

STMQTT_TEST("wire properties: each stands in its places, once, and nowhere else") {
  Properties out;
  for (const PropertyRow& row : property_table()) {
    const test::Context context("property", std::string(row.name));
    const Encoded one = sample(row);
    for (const PacketType type : kAllTypes) {
      const test::Context place("packet", std::string(packet_name(type)));
      const bool allowed = (row.places & property_place(type)) != 0;
      CHECK_EQ(decode(one, type, out), allowed ? 0 : 0x81);
      if (!allowed) continue;
      CHECK(out.has(row.id));
      CHECK_EQ(out.present, std::uint64_t{1} << static_cast<unsigned>(row.id));
      CHECK_EQ(out.raw.size(), one.size());
      CHECK_EQ(property_bytes(one.data()), one.size());
      const bool repeats = (row.repeats & property_place(type)) != 0;
      CHECK_EQ(decode(one + one, type, out), repeats ? 0 : 0x82);
      for (std::size_t cut = 1; cut < one.size(); ++cut) {
        CHECK_EQ(decode(Encoded(one.begin(), one.end() - static_cast<long>(cut)), type, out), 0x81);
        CHECK(out.fault != nullptr);
      }
    }
    const bool in_will = (row.places & kWillPlace) != 0;
    CHECK_EQ(static_cast<unsigned>(decode_will_properties(one, out)), in_will ? 0 : 0x81);
  }
}

STMQTT_TEST("wire properties: values at the bounds of their rules") {
  Properties out;
  for (const PropertyRow& row : property_table()) {
    const test::Context context("property", std::string(row.name));
    for (const PacketType type : kAllTypes) {
      if ((row.places & property_place(type)) == 0) continue;
      switch (row.rule) {
        case PropertyRule::any: CHECK_EQ(decode(sample(row, 0), type, out), 0); break;
        case PropertyRule::zero_or_one:
          CHECK_EQ(decode(sample(row, 0), type, out), 0);
          CHECK_EQ(decode(sample(row, 2), type, out), 0x82);
          CHECK_EQ(decode(sample(row, 255), type, out), 0x82);
          break;
        case PropertyRule::not_zero: CHECK_EQ(decode(sample(row, 0), type, out), 0x82); break;
        case PropertyRule::not_zero_alias: CHECK_EQ(decode(sample(row, 0), type, out), 0x94); break;
        case PropertyRule::topic_name:
          CHECK_EQ(decode({8, 0, 3, 'a', '/', '#'}, type, out), 0x82);  // [MQTT-3.3.2-14]
          CHECK_EQ(decode({8, 0, 1, '+'}, type, out), 0x82);
          CHECK_EQ(decode({8, 0, 0}, type, out), 0x82);
          break;
      }
      if (row.type == PropertyType::text) {
        const auto id = static_cast<std::uint8_t>(row.id);
        CHECK_EQ(decode({id, 0, 1, 0}, type, out), 0x81);
        CHECK_EQ(decode({id, 0, 2, 0xC0, 0x80}, type, out), 0x81);
      }
    }
  }
}

STMQTT_TEST("wire properties: numbers and views come out as they went in") {
  Properties out;
  const Encoded all = {0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0x21, 0x01, 0x02, 0x27, 0x00, 0x01, 0x00,
                       0x00, 0x15, 0x00, 0x02, 'm',  'n',  0x16, 0x00, 0x00};
  REQUIRE_EQ(decode(all, PacketType::connect, out), 0);
  CHECK_EQ(out.number(PropertyId::session_expiry_interval), 0xFFFFFFFF);
  CHECK_EQ(out.number_or(PropertyId::receive_maximum, 7), 0x0102);
  CHECK_EQ(out.number_or(PropertyId::topic_alias_maximum, 7), 7);
  CHECK_EQ(out.number(PropertyId::maximum_packet_size), 65536);
  CHECK_EQ(as_text(out.view(PropertyId::authentication_method)), "mn");
  CHECK(out.has(PropertyId::authentication_data));
  CHECK(out.view(PropertyId::authentication_data).empty());
  CHECK(out.view(PropertyId::reason_string).empty());
  CHECK_EQ(size_properties(out, {}), all.size());
  Encoded again(all.size());
  CHECK_EQ(encode_properties(out, {}, again.data()) - again.data(), all.size());
  CHECK_EQ(again.size(), all.size());
  Properties twice;
  REQUIRE_EQ(decode(again, PacketType::connect, twice), 0);
  CHECK_EQ(twice.present, out.present);
  out.remove(PropertyId::authentication_data);
  CHECK_EQ(size_properties(out, {}), all.size() - 3);
  out.reset();
  CHECK(out.empty());
  CHECK_EQ(size_properties(out, {}), 0);
}

STMQTT_TEST("wire properties: repeated ones are read in order") {
  Properties out;
  const Encoded raw = {0x26, 0, 1, 'b', 0, 1, '2', 0x0B, 0x05, 0x26, 0, 0, 0, 0, 0x0B, 0x80, 0x01,
                       0x26, 0, 1, 'b', 0, 1, '1'};
  REQUIRE_EQ(decode(raw, PacketType::publish, out), 0);
  std::string text;
  for_each_user_property(out.raw, [&](const UserProperty& property) {
    text += std::string(as_text(property.name)) + ':' + std::string(as_text(property.value)) + ' ';
  });
  CHECK_EQ(text, "b:2 : b:1 ");
  std::vector<std::uint32_t> ids;
  for_each_subscription_identifier(out.raw, [&](std::uint32_t id) { ids.push_back(id); });
  CHECK_EQ(ids, (std::vector<std::uint32_t>{5, 128}));
  CHECK_EQ(out.number(PropertyId::subscription_identifier), 5);
  for_each_user_property({}, [](const UserProperty&) { FAIL("there is none"); });
}

STMQTT_TEST("wire properties: forwarded ones are one view where they stand together") {
  const Encoded format = {0x01, 1}, expiry = {0x02, 0, 0, 0, 9}, type = {0x03, 0, 1, 't'};
  const Encoded user = {0x26, 0, 1, 'k', 0, 1, 'v'}, alias = {0x23, 0, 1}, id = {0x0B, 3};
  struct Case {
    Encoded raw, forward;
    bool split;
  };
  const Case cases[] = {
      {{}, {}, false},
      {format, format, false},
      {expiry + alias, {}, false},
      {format + type + user, format + type + user, false},
      {expiry + format + user + alias, format + user, false},
      {alias + expiry + id + format, format, false},
      {format + expiry, format, false},
      {format + expiry + user, format + user, true},
      {user + id + user + alias + type, user + user + type, true},
  };
  for (const Case& one : cases) {
    const ForwardProperties found = forward_properties(one.raw);
    CHECK_EQ(found.split, one.split);
    if (!one.split) CHECK_EQ(as_text(found.view), as_text(Bytes(one.forward)));
    Encoded copy(one.raw.size());
    copy.resize(copy_forward_properties(one.raw, copy.data()));
    CHECK_EQ(copy, one.forward);
  }
}

STMQTT_TEST("wire properties: what is forwarded is what 3.3.2.3 says") {
  for (const PropertyRow& row : property_table()) {
    const bool published = (row.places & property_place(PacketType::publish)) != 0;
    const bool of_hop = row.id == PropertyId::message_expiry_interval ||
                        row.id == PropertyId::topic_alias ||
                        row.id == PropertyId::subscription_identifier;
    CHECK_EQ(is_forwarded(static_cast<std::uint8_t>(row.id)), published && !of_hop);
  }
}

}  // namespace
