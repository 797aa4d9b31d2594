// wire/utf8.hpp and wire/topic.hpp against slow and obvious models.
#include <string>
#include <string_view>
#include <vector>

#include "runner.hpp"
#include "wire/topic.hpp"
#include "wire/utf8.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using namespace std::string_view_literals;

Bytes bytes(std::string_view text) { return as_bytes(text); }

/// The definition: decodes code points and looks at each.
bool utf8_model(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) -> unsigned {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0x100;
    };
    const unsigned first = at(0);
    std::size_t size = 1;
    unsigned point = first;
    if (first >= 0x80) {
      if ((first & 0xE0) == 0xC0) size = 2, point = first & 0x1F;
      else if ((first & 0xF0) == 0xE0) size = 3, point = first & 0x0F;
      else if ((first & 0xF8) == 0xF0) size = 4, point = first & 0x07;
      else return false;
      for (std::size_t k = 1; k < size; ++k) {
        if ((at(k) & 0x1C0) != 0x80) return false;
        point = point << 6 | (at(k) & 0x3F);
      }
    }
    const std::size_t shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (size != shortest || point > 0x10FFFF || point == 0) return false;
    if (point >= 0xD800 && point <= 0xDFFF) return false;
    i += size;
  }
  return true;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed | 1) {}
  std::uint32_t below(std::uint32_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 32) % bound;
  }

 private:
  std::uint64_t state_;
};

STMQTT_TEST("wire utf8: all sequences of one and two bytes, a third of those of three") {
  int wrong = 0;
  for (unsigned value = 0; value < 1u << 24; value += value < 1u << 16 ? 1 : 3) {
    const char three[] = {static_cast<char>(value), static_cast<char>(value >> 8),
                          static_cast<char>(value >> 16)};
    const std::size_t size = value < 1u << 8 ? 1 : value < 1u << 16 ? 2 : 3;
    const std::string_view text(three, size);
    wrong += valid_utf8(bytes(text)) != utf8_model(text) ? 1 : 0;
  }
  CHECK_EQ(wrong, 0);
}

STMQTT_TEST("wire utf8: sequences of four bytes at every bound") {
  for (unsigned first = 0xE8; first <= 0xFF; ++first) {
    for (unsigned second = 0x70; second <= 0xCF; ++second) {
      for (const unsigned last : {0x7Fu, 0x80u, 0xBFu, 0xC0u}) {
        const char four[] = {static_cast<char>(first), static_cast<char>(second),
                             static_cast<char>(last), '\x80'};
        const std::string_view text(four, 4);
        CHECK_EQ(valid_utf8(bytes(text)), utf8_model(text));
      }
    }
  }
}

STMQTT_TEST("wire utf8: [MQTT-1.5.4-2] U+0000 and bad bytes are found at every place") {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bad : {'\0', '\x80', '\xFF'}) {
        std::string text(size, 'a');
        CHECK(valid_utf8(bytes(text)));
        text[at] = bad;
        CHECK(!valid_utf8(bytes(text)));
      }
    }
  }
  CHECK(valid_utf8({}));
}

STMQTT_TEST("wire utf8: mixtures of good and bad sequences are as the definition says") {
  const std::string_view parts[] = {"a"sv,        "longer ascii"sv, "\xC3\xA9"sv,
                                    "\xE2\x82\xAC"sv, "\xF0\x9F\x98\x80"sv, "\xEF\xBB\xBF"sv,
                                    "\x7F"sv,     "\xED\xA0\x80"sv, "\xC0\xAF"sv,
                                    "\0"sv,       "\xF4\x90\x80\x80"sv, "\xE2\x82"sv};
  Random random(test::seed());
  int good = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::uint32_t n = random.below(8); n > 0; --n) {
      text += parts[random.below(random.below(3) == 0 ? std::size(parts) : 7)];
    }
    CHECK_EQ(valid_utf8(bytes(text)), utf8_model(text));
    good += utf8_model(text) ? 1 : 0;
  }
  CHECK_GT(good, 2000);
  CHECK_LT(good, 18000);
}

STMQTT_TEST("wire topic: [MQTT-4.7.3-1] [MQTT-4.7.0-1] Topic Names") {
  for (const auto good : {"a"sv, "/"sv, "//"sv, "a/b c/\xC3\xA9"sv, "$SYS/x"sv, "\xEF\xBB\xBF"sv}) {
    CHECK(valid_topic_name(bytes(good)));
  }
  for (const auto bad : {""sv, "+"sv, "#"sv, "a/+/b"sv, "a+"sv, "a#"sv, "a\0b"sv, "\xC3"sv,
                         "\xC3\xA9/+"sv, "long enough for two words/#"sv}) {
    CHECK(!valid_topic_name(bytes(bad)));
  }
  CHECK(valid_topic_name(bytes(std::string(65535, 'x'))));
  CHECK(!valid_topic_name(bytes(std::string(65536, 'x'))));  // [MQTT-4.7.3-3]
}

STMQTT_TEST("wire topic: a forbidden byte is found at every place of every length") {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bad : {'+', '#', '\0', '\xFF'}) {
        std::string name(size, at % 2 == 0 ? '\x01' : '\x7F');
        CHECK(topic_bytes_valid(bytes(name).data(), size));
        name[at] = bad;
        CHECK(!topic_bytes_valid(bytes(name).data(), size));
      }
      for (const char near : {'*', ',', '"', '$', '\x01', '\x7F'}) {
        std::string name(size, 'a');
        name[at] = near;
        CHECK(topic_bytes_valid(bytes(name).data(), size));
      }
    }
  }
}

STMQTT_TEST("wire topic: levels are counted and bounded") {
  Random random(test::seed());
  for (int round = 0; round < 2000; ++round) {
    std::string topic;
    std::uint32_t levels = 1;
    for (std::uint32_t n = 1 + random.below(50); n > 0; --n) {
      const char next = "/a.\x2E\x30\xAF"[random.below(6)];
      topic += next;
      levels += next == '/' ? 1 : 0;
    }
    CHECK_EQ(topic_levels(bytes(topic)), levels);
  }
  CHECK_EQ(topic_levels({}), 1);
  CHECK_EQ(topic_levels(bytes(std::string(65535, '/'))), 65536);
  CHECK(valid_topic_name(bytes("a/b/c"), 3));
  CHECK(!valid_topic_name(bytes("a/b/c"), 2));
  CHECK(valid_topic_filter(bytes("a/+/#"), 3));
  CHECK(!valid_topic_filter(bytes("a/+/#"), 2));
}

STMQTT_TEST("wire topic: [MQTT-4.7.1-1] [MQTT-4.7.1-2] Topic Filters") {
  for (const auto good : {"a"sv, "+"sv, "#"sv, "/"sv, "+/"sv, "/+"sv, "a/+/b"sv, "a/#"sv, "+/#"sv,
                          "$SYS/#"sv, "+/tennis/#"sv, "a//#"sv}) {
    CHECK(valid_topic_filter(bytes(good)));
  }
  for (const auto bad : {""sv, "a#"sv, "#a"sv, "#/"sv, "#/a"sv, "a/#/b"sv, "a+"sv, "+a"sv, "a/+b"sv,
                         "a/b+/c"sv, "##"sv, "++"sv, "+#"sv, "a\0"sv, "\xFF"sv}) {
    CHECK(!valid_topic_filter(bytes(bad)));
  }
}

STMQTT_TEST("wire topic: [MQTT-4.8.2-1] [MQTT-4.8.2-2] Shared Subscriptions are taken apart") {
  FilterView view;
  CHECK(parse_topic_filter(bytes("$share/consumers/a/+"), view) == ReasonCode::success);
  CHECK(view.shared && view.wildcard);
  CHECK_EQ(as_text(view.share_name), "consumers");
  CHECK_EQ(as_text(view.filter), "a/+");
  CHECK(parse_topic_filter(bytes("$share/g//"), view) == ReasonCode::success);
  CHECK_EQ(as_text(view.filter), "/");
  CHECK(!view.wildcard);
  // A ShareName holds any characters but three, and '$share' only means something in front.
  CHECK(parse_topic_filter(bytes("$share/g/$share/x/y"), view) == ReasonCode::success);
  CHECK_EQ(as_text(view.filter), "$share/x/y");
  for (const auto plain : {"$shared/g/a"sv, "$SHARE/g/a"sv, "a/$share/g"sv, "$shar"sv}) {
    CHECK(parse_topic_filter(bytes(plain), view) == ReasonCode::success);
    CHECK(!view.shared);
    CHECK_EQ(as_text(view.filter), plain);
    CHECK(view.share_name.empty());
  }
  for (const auto bad : {"$share"sv, "$share/"sv, "$share/g"sv, "$share/g/"sv, "$share//a"sv,
                         "$share/+/a"sv, "$share/#/a"sv, "$share/g+/a"sv, "$share/g/a#"sv, ""sv}) {
    CHECK(parse_topic_filter(bytes(bad), view) == ReasonCode::topic_filter_invalid);
  }
  for (const auto bad : {"a\0"sv, "$share/\xFF/a"sv, "\xED\xA0\x80"sv}) {
    CHECK(parse_topic_filter(bytes(bad), view) == ReasonCode::malformed_packet);
  }
}

/// Levels as lists, matched by recursion.
bool match_model(const std::vector<std::string>& filter, const std::vector<std::string>& topic,
                 std::size_t f, std::size_t t) {
  if (f == filter.size()) return t == topic.size();
  if (filter[f] == "#") return true;
  if (t == topic.size()) return false;
  return (filter[f] == "+" || filter[f] == topic[t]) && match_model(filter, topic, f + 1, t + 1);
}
std::vector<std::string> levels_of(const std::string& text) {
  std::vector<std::string> levels(1);
  for (const char c : text) {
    if (c == '/') levels.emplace_back();
    else levels.back() += c;
  }
  return levels;
}

STMQTT_TEST("wire topic: matching is what 4.7 says, on random topics and filters") {
  Random random(test::seed());
  const char* const names[] = {"a", "b", "ab", "", "$x"};
  int matched = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string topic = names[random.below(5)];
    for (std::uint32_t n = random.below(4); n > 0; --n) topic += '/', topic += names[random.below(4)];
    std::string filter;
    for (std::uint32_t n = 1 + random.below(4); n > 0; --n) {
      if (n == 1 && random.below(3) == 0) filter += '#';
      else filter += random.below(3) == 0 ? "+" : names[random.below(5)];
      if (n > 1) filter += '/';
    }
    if (topic.empty() || filter.empty()) continue;
    const bool hidden = topic[0] == '$' && (filter[0] == '+' || filter[0] == '#');  // 4.7.2-1
    const bool expected = !hidden && match_model(levels_of(filter), levels_of(topic), 0, 0);
    const test::Context context("filter and topic", filter + " | " + topic);
    CHECK_EQ(topic_matches(bytes(filter), bytes(topic)), expected);
    matched += expected ? 1 : 0;
  }
  CHECK_GT(matched, 3000);
}

}  // namespace
