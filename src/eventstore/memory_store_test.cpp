#include "eventstore/event_store_scenarios.hpp"
#include "eventstore/memory_store.hpp"

namespace immortal::eventstore {
namespace {

class memory_scenario_store final : public scenario_store {
public:
    event_store& store() override { return *store_; }

private:
    base::system_clock clock_;
    std::unique_ptr<event_store> store_ = make_memory_store(clock_);
};

} // namespace

INSTANTIATE_TEST_SUITE_P(memory, event_store_scenarios,
                         testing::Values(scenario_adapter{
                             "memory", [] { return std::make_unique<memory_scenario_store>(); }}));

} // namespace immortal::eventstore
