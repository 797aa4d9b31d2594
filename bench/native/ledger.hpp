// What was published and not yet delivered, by publisher, and the last sequence number each receiver saw
// of each publisher: from these a delivery is told to be the first, a double or out of order.
// Thread: the generator's only one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stmqtt::bench {

class Ledger {
 public:
  enum class Verdict { fresh, last_copy, unexpected };

  // remembered: messages per publisher, a power of two; may_publish() is false at that many.
  void reset(std::size_t publishers, std::size_t receivers, std::uint32_t remembered) {
    publishers_.assign(publishers, {});
    for (Publisher& publisher : publishers_) publisher.pending.resize(remembered);
    last_.assign(publishers * receivers, 0);
  }
  [[nodiscard]] std::size_t publishers() const { return publishers_.size(); }
  [[nodiscard]] bool may_publish(std::uint32_t index) const {
    const Publisher& publisher = publishers_[index];
    return publisher.pending[(publisher.sequence + 1) & (publisher.pending.size() - 1)].copies == 0;
  }
  // Messages of one publisher, and of all, that are not at all their receivers yet.
  [[nodiscard]] std::uint32_t undelivered(std::uint32_t index) const { return publishers_[index].undelivered; }
  [[nodiscard]] std::uint32_t undelivered() const { return undelivered_; }

  // Notes a message for `copies` receivers; returns its sequence number, from 1.
  std::uint32_t publish(std::uint32_t index, std::uint32_t copies) {
    Publisher& publisher = publishers_[index];
    const std::uint32_t sequence = ++publisher.sequence;
    publisher.pending[sequence & (publisher.pending.size() - 1)] = {sequence, copies};
    ++publisher.undelivered;
    ++undelivered_;
    return sequence;
  }

  [[nodiscard]] Verdict deliver(std::uint32_t receiver, std::uint32_t index, std::uint32_t sequence) {
    Publisher& publisher = publishers_[index];
    Pending& pending = publisher.pending[sequence & (publisher.pending.size() - 1)];
    std::uint32_t& last = last_[receiver * publishers_.size() + index];
    // A second copy at the same receiver while another still waits for its own is told by `last`.
    if (pending.sequence != sequence || pending.copies == 0 || sequence == last) {
      ++doubled_;
      return Verdict::unexpected;
    }
    if (sequence < last) ++disordered_;
    last = std::max(last, sequence);
    if (--pending.copies > 0) return Verdict::fresh;
    --publisher.undelivered;
    --undelivered_;
    return Verdict::last_copy;
  }

  // Deliveries that did not come; meaningful once nothing more can come.
  [[nodiscard]] std::uint64_t lost() const {
    std::uint64_t copies = 0;
    for (const Publisher& publisher : publishers_) {
      for (const Pending& pending : publisher.pending) copies += pending.copies;
    }
    return copies;
  }
  [[nodiscard]] std::uint64_t doubled() const { return doubled_; }
  [[nodiscard]] std::uint64_t disordered() const { return disordered_; }

 private:
  struct Pending {
    std::uint32_t sequence = 0;
    std::uint32_t copies = 0;
  };
  struct Publisher {
    std::vector<Pending> pending;  // found at sequence % size
    std::uint32_t sequence = 0;
    std::uint32_t undelivered = 0;
  };

  std::vector<Publisher> publishers_;
  std::vector<std::uint32_t> last_;  // [receiver * publishers + publisher]
  std::uint32_t undelivered_ = 0;
  std::uint64_t doubled_ = 0;
  std::uint64_t disordered_ = 0;
};

}  // namespace stmqtt::bench
