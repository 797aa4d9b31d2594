// Fuzz target: Topic Names and Topic Filters. The word-at-a-time tests must agree with plain loops,
// and what is taken apart must be put together again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/delayed_topic.hpp"
#include "wire/topic.hpp"
#include "wire/utf8.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;

void require(bool holds) {
  if (!holds) std::abort();
}

/// One code point after the other, as the encoding is defined.
bool utf8_model(Bytes text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = 1;
    std::uint32_t point = text[i];
    if (point >= 0x80) {
      size = point >= 0xF0 ? 4 : point >= 0xE0 ? 3 : 2;
      if (point < 0xC0 || point >= 0xF8 || text.size() - i < size) return false;
      point &= 0x7Fu >> size;
      for (std::size_t k = 1; k < size; ++k) {
        if ((text[i + k] & 0xC0) != 0x80) return false;
        point = point << 6 | (text[i + k] & 0x3Fu);
      }
      static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
      if (point < kLeast[size]) return false;
    }
    if (point == 0 || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += size;
  }
  return true;
}

/// What is taken apart stands there, and nothing else does.
void check_delay(const std::string& text) {
  Bytes topic = as_bytes(text);
  std::uint32_t seconds = 0;
  const DelayPrefix prefix = take_delay_prefix(topic, 1000, seconds);
  if (prefix != DelayPrefix::fits) return require(topic.data() == as_bytes(text).data());
  const std::string rest(as_text(topic));
  require(seconds <= 1000 && !rest.empty() && text.ends_with("/" + rest));
  const std::string number = text.substr(9, text.size() - rest.size() - 10);
  require(!number.empty() && number.find_first_not_of("0123456789") == std::string::npos);
  require(std::stoull(number) == seconds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy, so that a sanitizer sees a word that reaches beyond the text.
  const std::string copy(reinterpret_cast<const char*>(data), size);
  const std::string_view text = copy;
  const Bytes bytes = as_bytes(text);
  check_delay(copy);
  check_delay("$delayed/" + copy);
  const bool utf8 = utf8_model(bytes);
  const bool wildcard = text.find_first_of("+#") != std::string_view::npos;
  require(valid_utf8(bytes) == utf8);
  require(topic_bytes_valid(bytes.data(), bytes.size()) == (utf8 && !wildcard));
  require(valid_topic_name(bytes) == (utf8 && !wildcard && size >= 1 && size <= 65535));
  std::uint32_t levels = 1;
  for (const char c : text) levels += c == '/' ? 1 : 0;
  require(topic_levels(bytes) == levels);

  FilterView view;
  const ReasonCode code = parse_topic_filter(bytes, view);
  require((code == ReasonCode::malformed_packet) == (!utf8 || size > 65535));
  if (code != ReasonCode::success) return 0;
  require(valid_topic_filter(view.filter) && !view.filter.empty());
  require(view.wildcard == (as_text(view.filter).find_first_of("+#") != std::string_view::npos));
  if (view.shared) {
    require(!view.share_name.empty());
    require(as_text(view.share_name).find_first_of("/+#") == std::string_view::npos);
    require("$share/" + std::string(as_text(view.share_name)) + '/' +
                std::string(as_text(view.filter)) ==
            text);
  } else {
    require(as_text(view.filter) == text && !text.starts_with("$share/"));
    if (!view.wildcard) require(topic_matches(view.filter, bytes));
  }
  return 0;
}
