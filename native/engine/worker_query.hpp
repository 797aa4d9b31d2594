// What answering a query is made of: the query taken apart, its answer, and cursors.
// Thread: the worker's.
#pragma once

#include <cstring>
#include <string>
#include <utility>

#include "base/json_writer.hpp"
#include "engine/worker.hpp"

namespace stmqtt {

/// Cursors are bytes: which listing, which thread, and where in it. They come back from outside.
class CursorReader {
 public:
  CursorReader(Bytes cursor, char listing) noexcept
      : rest_(cursor), good_(cursor.size() >= 2 && cursor[0] == listing) {
    if (good_) rest_ = cursor.subspan(1);
  }
  [[nodiscard]] std::uint8_t u8() noexcept {
    if (rest_.empty()) return fail();
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  [[nodiscard]] std::uint32_t u32() noexcept {
    if (rest_.size() < 4) return fail();
    const std::uint32_t value = load_u32(rest_.data());
    rest_ = rest_.subspan(4);
    return value;
  }
  [[nodiscard]] std::uint64_t u64() noexcept {
    const std::uint64_t high = u32();
    return high << 32 | u32();
  }
  /// Everything that is left.
  [[nodiscard]] Bytes rest() noexcept { return std::exchange(rest_, {}); }
  /// All of it was as expected.
  [[nodiscard]] bool ends() const noexcept { return good_ && rest_.empty(); }

 private:
  std::uint8_t fail() noexcept {
    good_ = false;
    return 0;
  }
  Bytes rest_;
  bool good_;
};

class CursorWriter {
 public:
  explicit CursorWriter(char listing) { bytes_ += listing; }
  CursorWriter& u8(std::uint8_t value) {
    bytes_ += static_cast<char>(value);
    return *this;
  }
  CursorWriter& u32(std::uint32_t value) {
    std::uint8_t text[4];
    store_u32(text, value);
    bytes_ += as_text(text);
    return *this;
  }
  CursorWriter& u64(std::uint64_t value) {
    return u32(static_cast<std::uint32_t>(value >> 32)).u32(static_cast<std::uint32_t>(value));
  }
  CursorWriter& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// A query taken apart; views into the record.
struct Worker::Asked {
  explicit Asked(const std::uint8_t* at) noexcept {
    std::memcpy(&query, at, sizeof query);
    record = {at, query.header.record_bytes};
    at += sizeof query;
    client_id = {at, query.client_id_bytes};
    text = {at + query.client_id_bytes, query.text_bytes};
    cursor = {text.data() + text.size(), query.cursor_bytes};
  }
  contract::Query query;
  Bytes record;
  Bytes client_id;
  Bytes text;
  Bytes cursor;
};

/// What becomes its reply.
struct Worker::Answer {
  contract::QueryStatus status = contract::QueryStatus::done;
  std::uint16_t code = 0;
  JsonWriter rows;
  std::string cursor;
  std::string data;
};

}  // namespace stmqtt
