#include "store/trial_store.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace stmqtt {
namespace {

using Clock = std::chrono::steady_clock;

class TrialGate;

struct Batch {
  TrialGate* gate;
  Ticket first;
  Ticket last;
  Clock::time_point due;
};

class TrialStore final : public Store {
 public:
  explicit TrialStore(TrialStoreOptions options) : options_(options), thread_([this] { run(); }) {}
  ~TrialStore() override { stop(); }

  [[nodiscard]] Gate& open_gate(ThreadIndex thread, StoreWake wake) override;
  void stop() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  void hand_over(TrialGate& gate, Ticket first, Ticket last) {
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back({&gate, first, last,
                          Clock::now() + std::chrono::milliseconds(options_.delay_ms)});
    }
    changed_.notify_all();
  }
  [[nodiscard]] const TrialStoreOptions& options() const noexcept { return options_; }

 private:
  void run();

  const TrialStoreOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> batches_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<TrialGate>> gates_;
  std::thread thread_;  // last: it uses all the others
};

class TrialGate final : public Gate {
 public:
  TrialGate(TrialStore& store, StoreWake wake) noexcept
      : Gate(false), store_(store), wake_(wake) {}

  [[nodiscard]] bool next_result(TicketResult& out) noexcept override {
    const std::lock_guard lock(mutex_);
    if (results_.empty()) return false;
    out = results_.front();
    results_.pop_front();
    return true;
  }
  void end_batch() noexcept override {
    if (handed_over_ == next_) return;
    store_.hand_over(*this, handed_over_ + 1, next_);
    handed_over_ = next_;
  }
  void decide(Ticket first, Ticket last) {
    {
      const std::lock_guard lock(mutex_);
      for (Ticket ticket = first; ticket <= last; ++ticket) {
        results_.push_back({ticket, ticket > store_.options().granted_tickets
                                        ? TicketResult::Outcome::failed
                                        : TicketResult::Outcome::granted});
      }
    }
    wake_.call(wake_.context);
  }

 protected:
  [[nodiscard]] Ticket submit(const Commit&) noexcept override { return ++next_; }

 private:
  TrialStore& store_;
  StoreWake wake_;
  Ticket next_ = 0;
  Ticket handed_over_ = 0;
  std::mutex mutex_;
  std::deque<TicketResult> results_;
};

Gate& TrialStore::open_gate(ThreadIndex, StoreWake wake) {
  gates_.push_back(std::make_unique<TrialGate>(*this, wake));
  return *gates_.back();
}

void TrialStore::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (batches_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Batch batch = batches_.front();
    if (Clock::now() < batch.due) {
      changed_.wait_until(lock, batch.due);
      continue;
    }
    batches_.pop_front();
    lock.unlock();
    batch.gate->decide(batch.first, batch.last);
    lock.lock();
  }
}

}  // namespace

std::unique_ptr<Store> make_trial_store(TrialStoreOptions options) {
  return std::make_unique<TrialStore>(options);
}

}  // namespace stmqtt
