// Reads properties one after the other and holds each to its row of the table: place, count, type
// and value. For decode only. Thread: any (pure).
#pragma once

#include "wire/properties.hpp"
#include "wire/reader.hpp"
#include "wire/topic.hpp"

namespace stmqtt::wire {

/// One property as it came; which of `number` and `view` counts follows from row->type.
struct PropertyValue {
  const PropertyRow* row;
  Bytes encoded;  ///< with its identifier
  std::uint32_t number;
  Bytes view;
};

class PropertyReader {
 public:
  PropertyReader(Bytes bytes, PropertyPlaces place) noexcept : reader_(bytes), place_(place) {}

  [[nodiscard]] bool empty() const noexcept { return reader_.empty(); }
  /// Bit N is set when the property with identifier N was read.
  [[nodiscard]] std::uint64_t present() const noexcept { return present_; }

  /// Reads the next one; `view.fault` says why if it does not succeed. Only while not empty().
  template <typename View>
  [[nodiscard]] ReasonCode next(PropertyValue& out, View& view) noexcept {
    const std::uint8_t* const start = reader_.rest().data();
    // Identifiers are Variable Byte Integers; all that exist take one byte, and a longer form of
    // theirs is not the shortest [MQTT-1.5.5-1].
    std::uint8_t id = 0;
    if (!reader_.u8(id)) return malformed(view, "property identifier cut off");
    const PropertyRow* const row = property_row(std::uint32_t{id});
    // "contains an Identifier which is not valid for its packet type" (2.2.2.2)
    if (row == nullptr) return malformed(view, "unknown property");
    if ((row->places & place_) == 0) return malformed(view, "property not of this packet type");
    if (!read_value(*row, out)) return malformed(view, "property value cut off or not of its type");
    const std::uint64_t bit = std::uint64_t{1} << id;
    if ((present_ & bit) != 0 && (row->repeats & place_) == 0) {
      return protocol_error(view, "property more than once");
    }
    present_ |= bit;
    out.row = row;
    out.encoded = {start, reader_.rest().data()};
    return check_rule(*row, out, view);
  }

 private:
  [[nodiscard]] bool read_value(const PropertyRow& row, PropertyValue& out) noexcept {
    switch (row.type) {
      case PropertyType::byte: {
        std::uint8_t value = 0;
        if (!reader_.u8(value)) return false;
        out.number = value;
        return true;
      }
      case PropertyType::u16: {
        std::uint16_t value = 0;
        if (!reader_.u16(value)) return false;
        out.number = value;
        return true;
      }
      case PropertyType::u32: return reader_.u32(out.number);
      case PropertyType::varint: return reader_.varint(out.number);
      case PropertyType::text: return reader_.text(out.view);  // [MQTT-3.3.2-19] and others
      case PropertyType::binary: return reader_.binary(out.view);
      case PropertyType::text_pair:
        return reader_.text(out.view) && reader_.text(out.view);  // [MQTT-1.5.7-1]
    }
    return false;  // not reached: the switch names every type
  }

  template <typename View>
  [[nodiscard]] ReasonCode check_rule(const PropertyRow& row, const PropertyValue& value,
                                      View& view) const noexcept {
    switch (row.rule) {
      case PropertyRule::any: return ReasonCode::success;
      case PropertyRule::zero_or_one:
        if (value.number <= 1) return ReasonCode::success;
        return protocol_error(view, "property that may be 0 or 1 is neither");
      case PropertyRule::not_zero:
        if (value.number != 0) return ReasonCode::success;
        return protocol_error(view, "property that may not be 0 is 0");
      case PropertyRule::not_zero_alias:
        if (value.number != 0) return ReasonCode::success;
        return refuse(view, ReasonCode::topic_alias_invalid, "Topic Alias 0 [MQTT-3.3.2-8]");
      case PropertyRule::topic_name:
        // UTF-8 [MQTT-3.3.2-13] without wildcards [MQTT-3.3.2-14]; as a Topic Name not empty
        // [MQTT-4.7.3-1].
        if (valid_topic_name(value.view)) return ReasonCode::success;
        return protocol_error(view, "Response Topic is no Topic Name [MQTT-3.3.2-14]");
    }
    return ReasonCode::protocol_error;  // not reached: the switch names every rule
  }

  Reader reader_;
  std::uint64_t present_ = 0;
  PropertyPlaces place_;
};

/// The span that forwarded properties cover, found while all are read in order.
class ForwardSpan {
 public:
  void add(Bytes encoded) noexcept {
    if (begin_ == nullptr) {
      begin_ = encoded.data();
    } else if (encoded.data() != end_) {
      split_ = true;
    }
    end_ = encoded.data() + encoded.size();
  }
  [[nodiscard]] ForwardProperties result() const noexcept {
    if (begin_ == nullptr || split_) return {{}, split_};
    return {{begin_, end_}, false};
  }

 private:
  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  bool split_ = false;
};

}  // namespace stmqtt::wire
