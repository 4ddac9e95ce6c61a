// Sends pages of events to a reader: resolves links, asks whether their targets may be read.
#pragma once

#include "esdb/answer_room.hpp"
#include "esdb/call.hpp"
#include "esdb/page_sizer.hpp"
#include "esdb/read_plan.hpp"
#include "esdb/service_context.hpp"

#include <span>
#include <vector>

namespace immortal::esdb {

// All are used on the call's strand and outlive the coroutines.
class event_sender {
public:
    // `room`: where the page that is sent has been taken.
    event_sender(const service_context& context, call& asked, const read_plan& plan,
                 answer_room& room)
        : context_(context), call_(asked), plan_(plan), room_(room) {}

    // False: the client is gone. Errors: those of the store; exhausted (no room in time). The last
    // message is sent at once with more::no.
    awaitable<base::result<bool>> send(std::vector<eventstore::recorded_event> events, more then);

private:
    awaitable<base::result<std::vector<eventstore::resolved_event>>>
    resolve(std::vector<eventstore::recorded_event> events);
    // How many of the events are resolved at once.
    [[nodiscard]] std::size_t portion_of(std::span<const eventstore::recorded_event> events) const;
    awaitable<bool> send_resolved(std::vector<eventstore::resolved_event> events, more then);

    const service_context& context_;
    call& call_;
    const read_plan& plan_;
    answer_room& room_;
    page_sizer portions_;         // of events whose links are followed: they may lead to large ones
    std::size_t unknown_max_ = 1; // links at once whose targets are not known
};

} // namespace immortal::esdb
