#include "route/level_names.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/pool.hpp"

namespace stmqtt {

LevelNames::LevelNames() noexcept {
  // The first two ids of an arena are 1 and 2; their counts never reach 0.
  static_cast<void>(acquire(as_bytes("+")));
  static_cast<void>(acquire(as_bytes("#")));
}

LevelNames::~LevelNames() {
  for (std::uint32_t id = 1; id < names_.end_id(); ++id) {
    if (!names_.readable(id) || names_[id].bytes <= kShort) continue;
    const Bytes long_text = text(id);
    pool_free(const_cast<std::uint8_t*>(long_text.data()), long_text.size());
  }
}

std::uint64_t LevelNames::hash_of(Bytes text) noexcept {
  return hash_bytes(text, process_seed());
}

Bytes LevelNames::text(std::uint32_t id) const noexcept {
  const Name& name = names_[id];
  if (name.bytes <= kShort) return {name.text, name.bytes};
  const std::uint8_t* at = nullptr;
  std::memcpy(&at, name.text, sizeof at);
  return {at, name.bytes};
}

std::uint32_t LevelNames::find(Bytes wanted) const noexcept {
  return table_.find(hash_of(wanted), [&](std::uint32_t id) {
    return std::ranges::equal(text(id), wanted);
  });
}

std::uint32_t LevelNames::acquire(Bytes wanted) noexcept {
  std::uint32_t id = find(wanted);
  if (id != kNone) {
    ++names_[id].refs;
    return id;
  }
  id = names_.allocate();
  Name& name = names_[id];
  name.refs = 1;
  name.bytes = static_cast<std::uint16_t>(wanted.size());
  if (wanted.size() <= kShort) {
    store_bytes(name.text, wanted);
  } else {
    auto* at = static_cast<std::uint8_t*>(pool_allocate(wanted.size()));
    std::memcpy(at, wanted.data(), wanted.size());
    std::memcpy(name.text, &at, sizeof at);
    long_bytes_ += wanted.size();
  }
  table_.insert(hash_of(wanted), id, [this](std::uint32_t other) { return hash_of(text(other)); });
  return id;
}

void LevelNames::release(std::uint32_t id) noexcept {
  Name& name = names_[id];
  if (--name.refs != 0) return;
  const Bytes gone = text(id);
  table_.erase(hash_of(gone), id, [this](std::uint32_t other) { return hash_of(text(other)); });
  if (gone.size() > kShort) {
    long_bytes_ -= gone.size();
    pool_free(const_cast<std::uint8_t*>(gone.data()), gone.size());
  }
  names_.free(id);
}

}  // namespace stmqtt
