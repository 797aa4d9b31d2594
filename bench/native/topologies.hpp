// Who publishes what to whom: fills FlowPlan's filters and topics for the named row.
// Thread: any; pure functions.
#pragma once

#include "flow.hpp"

namespace stmqtt::bench {

// Each publisher has one subscriber and one topic of its own.
void plan_pipe(FlowPlan& plan, std::uint32_t pairs);
void plan_fan_out(FlowPlan& plan, std::uint32_t subscribers);
void plan_fan_in(FlowPlan& plan, std::uint32_t publishers);
// One group of `members` on `shared/+`.
void plan_shared(FlowPlan& plan, std::uint32_t publishers, std::uint32_t members);
// `filter_count` filters, 60% exact, 30% with one + at four places, 10% with #, over subscribers with
// 1,000 each; the publishers draw from 10,000 topics, a third of which has more than one receiver.
// No subscriber has two filters that match one topic, since brokers may differ there.
void plan_mixed(FlowPlan& plan, std::uint32_t publishers, std::uint32_t filter_count);

// The same mixture without a plan, for the memory of filters: `count` filters, in chunks of `per_chunk`.
std::vector<std::vector<std::string>> mixed_filters(std::uint32_t count, std::uint32_t per_chunk);

}  // namespace stmqtt::bench
