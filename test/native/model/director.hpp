// The scheduler of the model tests: from a seed it makes a world and decides, step by step, which
// logical thread and which client does what. The same seed does the same again.
// Thread: one.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "model/device.hpp"

namespace stmqtt::model {

inline constexpr const char* kTopics[] = {"t/0", "t/1", "t/2", "t/a/0", "t/a/1", "u"};
inline constexpr const char* kSharedTopics[] = {"s/0", "s/1"};
/// The Session Expiry Interval of clients that come back.
inline constexpr std::uint32_t kLastingS = 1800;

/// What a run is to be about; everything else is the seed's choice.
struct Scenario {
  unsigned max_shards = 4;
  int steps = 500;
  bool reconnects = false;  ///< connections drop, come back, are taken over
  bool retained = false;
  bool shared = false;
  bool wills = false;
  bool races = false;       ///< turns of other threads in the gaps of one
  bool gated = false;       ///< the store decides late
  bool store_fails = false;
  bool small_queues = false;
  bool refuses = false;
  bool verdicts = false;
  bool expiring = false;    ///< messages with an expiry, much time
  bool large = false;       ///< payloads by reference, small Maximum Packet Size
};

class Director {
 public:
  Director(const Scenario& scenario, std::uint64_t seed);
  ~Director();
  Director(const Director&) = delete;
  Director& operator=(const Director&) = delete;

  /// Empty if all went as it must; else what did not.
  [[nodiscard]] std::string run();

 private:
  static WorldOptions options_of(const Scenario& scenario, naive::Rng& rng);
  static void in_a_gap() noexcept;

  void step();
  void turn(unsigned shard, int actions);
  void shard_action(unsigned shard);
  void device_action();
  void connect(Device& device);
  void publish(Device& device);
  void subscribe(Device& device);
  void unsubscribe(Device& device);
  void decide_tickets();
  void advance();

  /// Everybody comes back, everything is delivered.
  void drain();
  void come_to_rest();
  [[nodiscard]] bool drain_once();
  void check_drained();
  void tear_down();

  [[nodiscard]] bool exact() const;
  [[nodiscard]] std::size_t some_bytes();
  [[nodiscard]] Line* some_line(unsigned shard);
  [[nodiscard]] bool lasting(const Device& device) const {
    return lasting_[static_cast<std::size_t>(device.index())];
  }
  [[nodiscard]] int new_text(Device* device, const std::string& topic);

  const Scenario scenario_;
  naive::Rng rng_;
  World world_;
  std::deque<Device> devices_;
  std::vector<bool> lasting_;  ///< by device: it asks for a session that outlives connections
  std::vector<std::string> filters_;
  int texts_ = 0;
  int depth_ = 0;
  unsigned gap_chance_ = 4;
  unsigned churn_ = 30;  ///< one in so many device actions is about the connection
  bool draining_ = false;
  bool leaving_ = false;
};

}  // namespace stmqtt::model
