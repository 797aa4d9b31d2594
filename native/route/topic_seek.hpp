// For a scan over topics in byte order: does this topic match the filter, and if not, which is the
// least one behind it that could? So a scan of "plant/+/state" does not walk through everything
// below "plant/".
// Thread: one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace stmqtt {

class TopicSeek {
 public:
  enum class Step : std::uint8_t {
    match,  ///< the topic matches; go on with the next one
    next,   ///< it does not; go on with the next one
    seek,   ///< it does not; go on at target(), which is greater
    done,   ///< it does not, and nothing behind it can
  };

  /// `filter` is borrowed for the life of this object.
  explicit TopicSeek(Bytes filter);

  /// Where to begin: no lesser topic can match.
  [[nodiscard]] const std::string& start() const noexcept { return start_; }

  [[nodiscard]] Step step(Bytes topic);
  [[nodiscard]] const std::string& target() const noexcept { return target_; }

 private:
  [[nodiscard]] Step seek_level(Bytes topic, Bytes prefix, std::size_t index);
  [[nodiscard]] Step seek_behind(Bytes topic, std::size_t index);
  [[nodiscard]] Step seek_to(Bytes text, std::string_view suffix);

  std::vector<Bytes> levels_;       ///< without a final "#"
  std::vector<std::uint32_t> ends_; ///< where the topic's levels end, as far as they match
  bool open_ended_ = false;         ///< a "#" follows levels_
  std::string start_;
  std::string target_;
};

}  // namespace stmqtt
