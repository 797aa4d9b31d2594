// Implements wire/properties.hpp, driven by wire/property_table.hpp. Thread: any (pure).
#include "wire/properties.hpp"

#include "wire/property_reader.hpp"

namespace stmqtt::wire {

namespace {

constexpr bool is_view(PropertyType type) noexcept {
  return type == PropertyType::text || type == PropertyType::binary;
}

ReasonCode decode_at(Bytes bytes, PropertyPlaces place, Properties& out) noexcept {
  out.reset();
  out.fault = nullptr;
  PropertyReader reader(bytes, place);
  PropertyValue value{};
  while (!reader.empty()) {
    const ReasonCode code = reader.next(value, out);
    if (code != ReasonCode::success) return code;
    const PropertyId id = value.row->id;
    if (value.row->type == PropertyType::text_pair) {
      out.present |= std::uint64_t{1} << static_cast<unsigned>(id);
    } else if (is_view(value.row->type)) {
      out.set_view(id, value.view);
    } else if (!out.has(id)) {  // of several Subscription Identifiers the first stays
      out.set_number(id, value.number);
    }
  }
  out.raw = bytes;
  return ReasonCode::success;
}

std::size_t value_bytes(const PropertyRow& row, const Properties& properties) noexcept {
  switch (row.type) {
    case PropertyType::byte: return 1;
    case PropertyType::u16: return 2;
    case PropertyType::u32: return 4;
    case PropertyType::varint: return size_varint(properties.number(row.id));
    case PropertyType::text:
    case PropertyType::binary: return 2 + properties.view(row.id).size();
    case PropertyType::text_pair: return 0;  // User Properties are given beside the struct
  }
  return 0;  // not reached: the switch names every type
}

std::uint8_t* store_text(std::uint8_t* out, Bytes text) noexcept {
  return store_bytes(store_u16(out, static_cast<std::uint16_t>(text.size())), text);
}

std::uint8_t* store_value(const PropertyRow& row, const Properties& properties,
                          std::uint8_t* out) noexcept {
  switch (row.type) {
    case PropertyType::byte: {
      *out = static_cast<std::uint8_t>(properties.number(row.id));
      return out + 1;
    }
    case PropertyType::u16:
      return store_u16(out, static_cast<std::uint16_t>(properties.number(row.id)));
    case PropertyType::u32: return store_u32(out, properties.number(row.id));
    case PropertyType::varint: return store_varint(out, properties.number(row.id));
    case PropertyType::text:
    case PropertyType::binary: return store_text(out, properties.view(row.id));
    case PropertyType::text_pair: return out;
  }
  return out;  // not reached: the switch names every type
}

/// Calls fn(row) for what encode writes from the struct, by ascending identifier.
template <typename Fn>
void for_each_present(const Properties& properties, Fn&& fn) {
  if (properties.empty()) return;
  for (const PropertyRow& row : property_table()) {
    if (properties.has(row.id) && row.type != PropertyType::text_pair) fn(row);
  }
}

/// Calls fn(encoded) for each of validated properties.
template <typename Fn>
void for_each_encoded(Bytes raw, Fn&& fn) {
  while (!raw.empty()) {
    const std::size_t bytes = property_bytes(raw.data());
    fn(raw.first(bytes));
    raw = raw.subspan(bytes);
  }
}

}  // namespace

ReasonCode decode_properties(Bytes bytes, PacketType type, Properties& out) noexcept {
  return decode_at(bytes, property_place(type), out);
}

ReasonCode decode_will_properties(Bytes bytes, Properties& out) noexcept {
  return decode_at(bytes, kWillPlace, out);
}

std::size_t size_properties(const Properties& properties,
                            std::span<const UserProperty> user) noexcept {
  std::size_t bytes = 0;
  for_each_present(properties,
                   [&](const PropertyRow& row) { bytes += 1 + value_bytes(row, properties); });
  for (const UserProperty& property : user) {
    bytes += 5 + property.name.size() + property.value.size();
  }
  return bytes;
}

std::uint8_t* encode_properties(const Properties& properties, std::span<const UserProperty> user,
                                std::uint8_t* out) noexcept {
  for_each_present(properties, [&](const PropertyRow& row) {
    *out++ = static_cast<std::uint8_t>(row.id);
    out = store_value(row, properties, out);
  });
  for (const UserProperty& property : user) {
    *out++ = static_cast<std::uint8_t>(PropertyId::user_property);
    out = store_text(store_text(out, property.name), property.value);
  }
  return out;
}

ForwardProperties forward_properties(Bytes raw) noexcept {
  ForwardSpan span;
  for_each_encoded(raw, [&](Bytes encoded) {
    if (is_forwarded(encoded[0])) span.add(encoded);
  });
  return span.result();
}

std::size_t copy_forward_properties(Bytes raw, std::uint8_t* out) noexcept {
  std::uint8_t* const start = out;
  for_each_encoded(raw, [&](Bytes encoded) {
    if (is_forwarded(encoded[0])) out = store_bytes(out, encoded);
  });
  return static_cast<std::size_t>(out - start);
}

}  // namespace stmqtt::wire
