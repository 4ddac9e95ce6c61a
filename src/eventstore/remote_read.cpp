#include "eventstore/remote_read.hpp"

#include "esproto/wire/streams.grpc.pb.h"
#include "eventlog/stream_metadata.hpp"
#include "eventstore/event_filter.hpp"
#include "eventstore/remote_link.hpp"
#include "eventstore/remote_messages.hpp"

#include <limits>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
using base::revision;
namespace wire = ::event_store::client::streams;

constexpr revision newest{std::numeric_limits<std::uint64_t>::max()};

struct reading {
    std::vector<recorded_event> events;
    bool found = true;
    std::optional<revision> first; // the next one that can be read, where the server says so
    std::optional<revision> last;
};

base::result<reading> read(remote_link& link, const wire::ReadReq& request,
                           const std::string& stream) {
    const auto channel = link.channel();
    if (!channel) {
        return fail(channel.error());
    }
    grpc::ClientContext context;
    link.prepare(context, call_kind::read);
    const auto stub = wire::Streams::NewStub(*channel);
    const auto reader = stub->Read(&context, request);
    reading out;
    wire::ReadResp response;
    bool broken = false;
    while (reader->Read(&response)) {
        switch (response.content_case()) {
        case wire::ReadResp::kEvent: {
            auto event = remote::receive_event(std::move(*response.mutable_event()));
            broken = broken || !event;
            if (event) {
                out.events.push_back(std::move(event->event));
            }
            break;
        }
        case wire::ReadResp::kStreamNotFound:
            out.found = false;
            break;
        case wire::ReadResp::kFirstStreamPosition:
            out.first = revision{response.first_stream_position()};
            break;
        case wire::ReadResp::kLastStreamPosition:
            out.last = revision{response.last_stream_position()};
            break;
        default:
            break;
        }
    }
    const auto status = reader->Finish();
    if (!status.ok()) {
        return fail(link.failure(status, context, call_kind::read, stream));
    }
    if (broken) {
        return fail(errc::corrupt, "the event store sent an event that cannot be read");
    }
    return out;
}

// `from` beyond any revision means the end.
wire::ReadReq stream_request(const std::string& stream, revision from, direction way,
                             std::size_t count) {
    wire::ReadReq request = remote::read_request(way);
    remote::set_stream(request, stream);
    auto& options = *request.mutable_options()->mutable_stream();
    if (from.value > esproto::value_max && way == direction::backwards) {
        options.mutable_end();
    } else {
        options.set_revision(std::min(from.value, esproto::value_max));
    }
    request.mutable_options()->set_count(count);
    return request;
}

} // namespace

base::result<stream_page> read_stream_remotely(remote_link& link, const std::string& stream,
                                               revision from, direction way,
                                               std::size_t count_max) {
    auto got = read(link, stream_request(stream, from, way, count_max), stream);
    if (!got) {
        return fail(std::move(got.error()));
    }
    stream_page page;
    if (!got->found) {
        auto info = info_remotely(link, stream);
        if (!info) {
            return fail(std::move(info.error()));
        }
        page.soft_deleted = info->soft_deleted;
        return page;
    }
    page.events = std::move(got->events);
    page.last = got->last;
    const bool full = page.events.size() >= count_max;
    if (way == direction::forwards) {
        page.end = !full || (page.last && page.events.back().revision >= *page.last);
        page.next_readable = !page.events.empty() ? std::optional(page.events.front().revision)
                             : got->first         ? got->first
                             : page.last          ? std::optional(revision{page.last->value + 1})
                                                  : std::nullopt;
    } else {
        page.end = !full || page.events.back().revision.value == 0;
        if (!page.events.empty()) {
            page.next_readable = page.events.front().revision;
        }
    }
    return page;
}

// Remote positions can be read from only where an event stands, forwards including it. The port's
// `next` is one past the last event that was seen, so the read begins at that event, and leaves it
// out.
base::result<all_page> read_all_remotely(remote_link& link, base::position from, direction way,
                                         std::size_t count_max, const all_filter& filter) {
    auto compiled = event_filter::compile(filter);
    if (!compiled) {
        return fail(std::move(compiled.error()));
    }
    wire::ReadReq request = remote::read_request(way);
    remote::set_filter(request, filter);
    auto& all = *request.mutable_options()->mutable_all();
    const bool skip = way == direction::forwards && from.value > 0;
    const std::uint64_t at = skip ? from.value - 1 : from.value;
    if (way == direction::forwards && !skip) {
        all.mutable_start();
    } else if (at > esproto::value_max) {
        all.mutable_end();
    } else {
        all.mutable_position()->set_commit_position(at);
        all.mutable_position()->set_prepare_position(at);
    }
    request.mutable_options()->set_count(count_max + (skip ? 1 : 0));
    auto got = read(link, request, {});
    if (!got) {
        return fail(std::move(got.error()));
    }
    all_page page;
    page.next = from;
    page.end = got->events.size() < request.options().count();
    for (recorded_event& event : got->events) {
        page.next =
            way == direction::forwards ? base::position{event.position.value + 1} : event.position;
        const bool before = way == direction::forwards && event.position < from;
        if (!before && page.events.size() < count_max &&
            compiled->wants(event.stream, event.type)) {
            page.events.push_back(std::move(event));
        }
    }
    return page;
}

base::result<stream_info> info_remotely(remote_link& link, const std::string& stream) {
    stream_info out;
    auto newest_event = read(link, stream_request(stream, newest, direction::backwards, 1), stream);
    if (!newest_event && newest_event.error().code == errc::deleted) {
        out.tombstoned = true;
        out.last = eventlog::tombstone_revision;
        return out;
    }
    if (!newest_event) {
        return fail(std::move(newest_event.error()));
    }
    out.last = newest_event->last;
    if (!out.last && !newest_event->events.empty()) {
        out.last = newest_event->events.front().revision;
    }
    if (eventlog::is_metadata_stream(stream)) {
        return out;
    }
    auto metadata = read(
        link, stream_request(eventlog::metadata_stream_of(stream), newest, direction::backwards, 1),
        stream);
    if (!metadata) {
        return fail(std::move(metadata.error()));
    }
    if (!metadata->events.empty()) {
        out.metadata = std::move(metadata->events.front());
        out.soft_deleted = eventlog::metadata_of(*out.metadata).soft_deleted();
    }
    return out;
}

base::result<std::optional<base::position>> head_remotely(remote_link& link) {
    wire::ReadReq request = remote::read_request(direction::backwards);
    request.mutable_options()->mutable_all()->mutable_end();
    request.mutable_options()->set_count(1);
    auto got = read(link, request, {});
    if (!got) {
        return fail(std::move(got.error()));
    }
    return got->events.empty() ? std::nullopt : std::optional(got->events.front().position);
}

} // namespace immortal::eventstore
