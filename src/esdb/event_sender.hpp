// Sends pages of events to a reader: resolves links, asks whether their targets may be read.
#pragma once

#include "esdb/call.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/read_plan.hpp"
#include "esdb/service_context.hpp"

#include <vector>

namespace immortal::esdb {

// All are used on the call's strand and outlive the coroutines.
class event_sender {
public:
    event_sender(const service_context& context, call& asked, const read_plan& plan)
        : context_(context), call_(asked), plan_(plan) {}

    // False: the client is gone. Errors: those of the store. The last message is sent at once with
    // more::no.
    awaitable<base::result<bool>> send(std::vector<eventstore::recorded_event> events, more then);

private:
    awaitable<base::result<std::vector<eventstore::resolved_event>>>
    resolve(std::vector<eventstore::recorded_event> events);
    awaitable<bool> send_resolved(std::vector<eventstore::resolved_event> events, more then);

    const service_context& context_;
    call& call_;
    const read_plan& plan_;
    page_sizer portions_; // of events whose links are followed: they may lead to large ones
};

} // namespace immortal::esdb
