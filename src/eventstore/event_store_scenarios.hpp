// The suite of scenarios that every adapter of the event-store port passes. A test program includes
// this once and instantiates it with its adapters:
//
//   INSTANTIATE_TEST_SUITE_P(memory, event_store_scenarios, testing::Values(...));
#pragma once

#include "eventstore/append_scenarios.hpp"
#include "eventstore/batch_scenarios.hpp"
#include "eventstore/check_scenarios.hpp"
#include "eventstore/deletion_scenarios.hpp"
#include "eventstore/read_scenarios.hpp"
#include "eventstore/subscription_scenarios.hpp"
#include "eventstore/view_scenarios.hpp"
