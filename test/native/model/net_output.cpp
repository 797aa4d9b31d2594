// What a connection's outlet holds, shown to the listener as it grows.
#include <algorithm>
#include <vector>

#include "model/net.hpp"

namespace stmqtt::model {

void Net::tap(Conn& conn) {
  const std::size_t bytes = conn.outlet->queue.bytes();
  if (bytes == conn.tapped) return;
  std::vector<Slice> slices(16);
  for (;;) {
    const std::size_t count = conn.outlet->queue.gather(slices.data(), slices.size());
    if (count < slices.size()) {
      slices.resize(count);
      break;
    }
    slices.resize(slices.size() * 2);
  }
  std::string fresh;
  std::size_t skip = conn.tapped;
  for (const Slice& slice : slices) {
    const std::size_t skipped = std::min(skip, slice.bytes);
    skip -= skipped;
    fresh.append(reinterpret_cast<const char*>(slice.data) + skipped, slice.bytes - skipped);
  }
  conn.tapped = bytes;
  listener_.on_output(conn, fresh);
}

}  // namespace stmqtt::model
