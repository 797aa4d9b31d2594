// JSON text, written front to back. For what is asked rarely: answers to queries.
// Thread: its owner's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace stmqtt {

class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  /// The name of the value that follows; it needs no escapes.
  void key(std::string_view name);
  /// Any bytes: quotes, backslashes and control characters are escaped. What is not UTF-8 stays.
  void text(Bytes bytes);
  void number(std::int64_t value);

  void field(std::string_view name, std::int64_t value) {
    key(name);
    number(value);
  }
  void field(std::string_view name, Bytes value) {
    key(name);
    text(value);
  }

  [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }
  [[nodiscard]] Bytes bytes() const noexcept { return as_bytes(out_); }

 private:
  void open(char bracket);
  void close(char bracket);
  void separate();

  std::string out_;
  bool first_ = true;  ///< nothing stands before the next value that a comma would part it from
};

}  // namespace stmqtt
