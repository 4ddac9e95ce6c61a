// Streams.Read without subscription, and the service's table of methods.
#include "esdb/answer_room.hpp"
#include "esdb/append_outcomes.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/event_sender.hpp"
#include "esdb/page_sizer.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.grpc.pb.h"

#include <algorithm>

namespace immortal::esdb {

namespace wire = ::event_store::client::streams;
using eventstore::direction;

namespace {

stream_needs needs_of_read(const wire::ReadReq& request) {
    const auto& options = request.options();
    if (options.has_all()) {
        return {{"$all", stream_right::read}};
    }
    const std::string& name = options.stream().stream_identifier().stream_name();
    return is_stream_name(name) ? stream_needs{{name, stream_right::read}} : stream_needs{};
}

// Only the options name a stream, and they come first.
stream_needs needs_of_append(const wire::AppendReq& request) {
    return request.has_options()
               ? needs_of(request.options().stream_identifier().stream_name(), stream_right::write)
               : stream_needs{};
}

template <typename Request>
stream_needs needs_of_removal(const Request& request) {
    return needs_of(request.options().stream_identifier().stream_name(), stream_right::remove);
}

} // namespace

void streams_service::add_to(method_table& methods) {
    const auto name = wire::Streams::service_full_name();
    methods.add(name, "Read",
                {.serve = [this](call& asked) { return read(asked); },
                 .access = stream_rule<wire::ReadReq, needs_of_read>(),
                 .lasting = duration::lasts,
                 .features = {"position", "events"}});
    methods.add(name, "Append",
                {.serve = [this](call& asked) { return append(asked); },
                 .access = stream_rule<wire::AppendReq, needs_of_append>(),
                 .kind = call_kind::append,
                 .receives = intake::messages});
    methods.add(name, "BatchAppend",
                {.serve = [this](call& asked) { return batch_append(asked); },
                 .access = access_rule::streams_inside(),
                 .kind = call_kind::lasting,
                 .receives = intake::open_ended,
                 .lasting = duration::lasts,
                 .features = {"deadline_duration"}});
    methods.add(name, "Delete",
                {.serve = unary<delete_request, delete_response>(
                     [this](call& asked, delete_request request) {
                         return remove(asked, std::move(request));
                     }),
                 .access = stream_rule<delete_request, needs_of_removal<delete_request>>()});
    methods.add(name, "Tombstone",
                {.serve = unary<tombstone_request, tombstone_response>(
                     [this](call& asked, tombstone_request request) {
                         return tombstone(asked, std::move(request));
                     }),
                 .access = stream_rule<tombstone_request, needs_of_removal<tombstone_request>>()});
}

awaitable<rpc_status> streams_service::read(call& asked) {
    const auto request = co_await receive_only<wire::ReadReq>(asked);
    if (!request) {
        co_return request.error();
    }
    auto plan = plan_read(*request);
    if (!plan) {
        co_return std::move(plan.error());
    }
    if (plan->subscribe) {
        if (!asked.begin_lasting()) {
            co_return refusal::too_busy();
        }
        co_return co_await subscribe(asked, std::move(*plan));
    }
    co_return co_await (plan->all ? read_all(asked, std::move(*plan))
                                  : read_stream(asked, std::move(*plan)));
}

namespace {

// What clients expect to be told: the first readable revision, where the page they asked for (of
// this many numbers) has nothing to show.
constexpr std::uint64_t first_page = 32;

std::optional<std::uint64_t> first_position_to_tell(const read_plan& plan,
                                                    const eventstore::stream_page& page,
                                                    std::uint64_t from) {
    if (plan.way == direction::backwards) {
        return page.events.empty() && page.next_readable ? std::optional(page.next_readable->value)
                                                         : std::nullopt;
    }
    const std::uint64_t first = !page.events.empty() ? page.events.front().revision.value
                                : page.next_readable ? page.next_readable->value
                                                     : page.last->value + 1;
    const bool empty = page.events.empty() || first - from >= first_page;
    return empty && first != from && plan.from != read_from::end ? std::optional(first)
                                                                 : std::nullopt;
}

// Where the page after this one begins; empty: there is none.
std::optional<base::revision> following(const eventstore::stream_page& page, direction way) {
    if (page.end) {
        return std::nullopt;
    }
    if (page.events.empty()) {
        return page.next_readable;
    }
    const std::uint64_t last = page.events.back().revision.value;
    if (way == direction::backwards && last == 0) {
        return std::nullopt;
    }
    return base::revision{way == direction::forwards ? last + 1 : last - 1};
}

} // namespace

awaitable<rpc_status> streams_service::read_stream(call& asked, read_plan plan) {
    answer_room room(asked.answer_charge(), context_.write_limit);
    event_sender sender(context_, asked, plan, room);
    page_sizer sizer;
    std::optional<base::revision> from{{plan.from == read_from::start ? 0
                                        : plan.from == read_from::end ? esproto::value_max
                                                                      : plan.place}};
    std::optional<base::revision> last;
    bool is_first = true;
    for (std::uint64_t left = plan.count; from && left > 0;) {
        if (!co_await room.wait()) {
            co_return refusal::too_busy();
        }
        auto page = co_await context_.store.read_stream(
            plan.stream, *from, plan.way, std::min<std::uint64_t>(left, sizer.next()));
        if (!page) {
            co_return to_status(page.error(), plan.stream);
        }
        if (!room.take(page->events)) {
            sizer.observe(page->events);
            continue;
        }
        wire::ReadResp message;
        if (is_first && (!page->last || page->soft_deleted)) {
            message.mutable_stream_not_found()->mutable_stream_identifier()->set_stream_name(
                plan.stream);
            reply(asked, message);
            co_return rpc_status{};
        }
        if (is_first && plan.tell_ends) {
            if (const auto first = first_position_to_tell(plan, *page, from->value)) {
                message.set_first_stream_position(*first);
                (void)co_await send(asked, message, more::follows);
            }
        }
        is_first = false;
        last = page->last;
        from = following(*page, plan.way);
        left -= std::min<std::uint64_t>(left, page->events.size());
        sizer.observe(page->events);
        const auto sent = co_await sender.send(std::move(page->events), more::follows);
        if (!sent || !*sent) {
            co_return sent ? rpc_status{} : to_status(sent.error(), plan.stream);
        }
    }
    if (plan.tell_ends && last) {
        wire::ReadResp message;
        message.set_last_stream_position(last->value);
        reply(asked, message);
    }
    co_return rpc_status{};
}

awaitable<rpc_status> streams_service::read_all(call& asked, read_plan plan) {
    answer_room room(asked.answer_charge(), context_.write_limit);
    event_sender sender(context_, asked, plan, room);
    page_sizer sizer;
    const auto head = context_.store.head();
    const base::position end{head ? head->value + 1 : 0};
    base::position from = plan.from == read_from::start ? base::position{0}
                          : plan.from == read_from::end
                              ? end
                              : base::position{std::min(plan.place, end.value)};
    const eventstore::all_filter filter =
        plan.filter ? plan.filter->filter : eventstore::all_filter{};
    for (std::uint64_t left = plan.count; left > 0;) {
        if (!co_await room.wait()) {
            co_return refusal::too_busy();
        }
        auto page = co_await context_.store.read_all(
            from, plan.way, std::min<std::uint64_t>(left, sizer.next()), filter);
        if (!page) {
            co_return to_status(page.error(), "$all");
        }
        if (!room.take(page->events)) {
            sizer.observe(page->events);
            continue;
        }
        from = page->next;
        sizer.observe(page->events);
        std::erase_if(page->events, [](const auto& event) { return !shown_in_all(event); });
        left -= std::min<std::uint64_t>(left, page->events.size());
        const auto sent = co_await sender.send(std::move(page->events), more::follows);
        if (!sent || !*sent) {
            co_return sent ? rpc_status{} : to_status(sent.error(), "$all");
        }
        if (page->end) {
            break;
        }
    }
    co_return rpc_status{};
}

} // namespace immortal::esdb
