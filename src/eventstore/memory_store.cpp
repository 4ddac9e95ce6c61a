#include "eventstore/memory_store.hpp"

#include "base/random.hpp"
#include "eventlog/append_decision.hpp"
#include "eventstore/catch_up.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>

namespace immortal::eventstore {
namespace {

using base::position;
using base::revision;

struct stored_event {
    recorded_event event;
    bool last_of_stream_write = true;
};

struct stored_stream {
    std::vector<std::size_t> places; // in `events`, by revision
    std::unordered_map<base::uuid, revision> ids;
};

// Everything under one mutex, which is never held across a suspension.
struct contents {
    std::mutex mutex;
    std::vector<stored_event> events;
    std::unordered_map<std::string, stored_stream> streams;
    position end{256};
    base::utc_time last_created{};

    const stored_stream* find(const std::string& name) {
        const auto found = streams.find(name);
        return found == streams.end() ? nullptr : &found->second;
    }

    std::size_t place_of(position from) {
        return static_cast<std::size_t>(
            std::ranges::lower_bound(events, from, {},
                                     [](const stored_event& e) { return e.event.position; }) -
            events.begin());
    }
};

class memory_facts final : public eventlog::stream_facts {
public:
    memory_facts(contents& all, const std::string& name) : all_(all), name_(name) {}

    std::optional<revision> last() override {
        const stored_stream* stream = all_.find(name_);
        return stream == nullptr ? std::nullopt
                                 : std::optional(revision{stream->places.size() - 1});
    }
    bool has_metadata() override { return all_.find("$$" + name_) != nullptr; }
    base::result<base::uuid> id_at(revision at) override { return event_at(at).id; }
    base::result<position> position_at(revision at) override { return event_at(at).position; }
    std::optional<eventlog::known_event> find(const base::uuid& id) override {
        const stored_stream* stream = all_.find(name_);
        if (stream == nullptr) {
            return std::nullopt;
        }
        const auto found = stream->ids.find(id);
        if (found == stream->ids.end()) {
            return std::nullopt;
        }
        return eventlog::known_event{found->second, event_at(found->second).position};
    }

private:
    const recorded_event& event_at(revision at) {
        return all_.events[all_.find(name_)->places[at.value]].event;
    }

    contents& all_;
    const std::string& name_;
};

append_outcome write(contents& all, std::vector<stream_write>& writes, base::utc_time now) {
    append_outcome outcome;
    all.last_created = std::max(all.last_created, now);
    for (stream_write& write : writes) {
        stored_stream* stream = write.events.empty() ? nullptr : &all.streams[write.stream];
        for (new_event& event : write.events) {
            const revision at{stream->places.size()};
            stream->places.push_back(all.events.size());
            stream->ids.insert_or_assign(event.id, at);
            const std::uint64_t size =
                64 + event.data.size() + event.metadata.size() + event.type.size();
            all.events.push_back(
                {{all.end, write.stream, at, event.id, std::move(event.type), std::move(event.data),
                  std::move(event.metadata), all.last_created, event.format, false},
                 &event == &write.events.back()});
            outcome.position = all.end;
            all.end.value += size;
        }
        outcome.last_revisions.push_back(memory_facts(all, write.stream).last());
    }
    all.events.back().event.last_in_batch = true;
    return outcome;
}

class all_source final : public catch_up_source {
public:
    all_source(contents& all, std::optional<position> after, all_filter filter)
        : all_(all), filter_(std::move(filter)), from_(after ? after->value + 1 : 0),
          processed_(after.value_or(position{})) {}

    base::result<subscription::batch> pull(std::size_t count_max) override {
        const std::lock_guard lock(all_.mutex);
        subscription::batch out;
        std::size_t place = all_.place_of({from_});
        std::size_t whole = 0;
        std::size_t whole_place = place;
        while (place < all_.events.size() && out.events.size() < count_max) {
            const recorded_event& event = all_.events[place++].event;
            if (matches(filter_, event.stream, event.type)) {
                out.events.push_back(event);
            }
            if (event.last_in_batch) {
                whole = out.events.size();
                whole_place = place;
            }
        }
        if (whole > 0) {
            out.events.resize(whole);
            place = whole_place;
        }
        if (place > 0 && all_.events[place - 1].event.position.value >= from_) {
            processed_ = all_.events[place - 1].event.position;
            from_ = processed_.value + 1;
        }
        out.processed = processed_;
        out.caught_up = place == all_.events.size();
        return out;
    }

private:
    contents& all_;
    all_filter filter_;
    std::uint64_t from_;
    position processed_;
};

class stream_source final : public catch_up_source {
public:
    stream_source(contents& all, std::string name, std::optional<revision> after)
        : all_(all), name_(std::move(name)), from_(after ? after->value + 1 : 0) {}

    base::result<subscription::batch> pull(std::size_t count_max) override {
        const std::lock_guard lock(all_.mutex);
        subscription::batch out;
        const stored_stream* stream = all_.find(name_);
        const std::size_t size = stream == nullptr ? 0 : stream->places.size();
        std::size_t whole = 0;
        for (std::size_t at = from_; at < size && out.events.size() < count_max; ++at) {
            const stored_event& stored = all_.events[stream->places[at]];
            out.events.push_back(stored.event);
            if (stored.last_of_stream_write) {
                whole = out.events.size();
            }
        }
        if (whole > 0) {
            out.events.resize(whole);
        }
        if (!out.events.empty()) {
            processed_ = out.events.back().position;
            from_ += out.events.size();
        }
        out.processed = processed_;
        out.caught_up = from_ >= size;
        return out;
    }

private:
    contents& all_;
    std::string name_;
    std::uint64_t from_;
    position processed_;
};

class memory_store final : public event_store {
public:
    explicit memory_store(base::clock& clock) : clock_(clock) {
        base::system_random random;
        identity_.id = base::uuid::make_random(random);
    }

    awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes) override {
        auto outcome = append_now(writes);
        if (outcome && !outcome->repeated) {
            published_.notify_all();
        }
        co_return outcome;
    }

    awaitable<base::result<stream_page>> read_stream(std::string name, revision from, direction way,
                                                     std::size_t count_max) override {
        const std::lock_guard lock(all_.mutex);
        stream_page page;
        const stored_stream* stream = all_.find(name);
        if (stream == nullptr) {
            co_return page;
        }
        const std::size_t size = stream->places.size();
        page.last = revision{size - 1};
        if (way == direction::forwards) {
            std::size_t at = from.value;
            for (; at < size && page.events.size() < count_max; ++at) {
                page.events.push_back(all_.events[stream->places[at]].event);
            }
            page.end = at >= size;
        } else {
            std::size_t left = std::min<std::uint64_t>(from.value, size - 1) + 1;
            for (; left > 0 && page.events.size() < count_max; --left) {
                page.events.push_back(all_.events[stream->places[left - 1]].event);
            }
            page.end = left == 0;
        }
        co_return page;
    }

    awaitable<base::result<std::optional<revision>>> stream_head(std::string name) override {
        const std::lock_guard lock(all_.mutex);
        co_return memory_facts(all_, name).last();
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        auto last = co_await stream_head(std::move(stream));
        if (!last) {
            co_return base::fail(std::move(last.error()));
        }
        co_return stream_info{.last = *last};
    }

    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        std::vector<resolved_event> out;
        for (recorded_event& event : events) {
            out.push_back({.event = std::move(event), .link = {}});
        }
        co_return out;
    }

    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        const std::lock_guard lock(all_.mutex);
        all_page page;
        std::size_t place = all_.place_of(from);
        const auto take = [&](const recorded_event& event) {
            if (matches(filter, event.stream, event.type)) {
                page.events.push_back(event);
            }
        };
        if (way == direction::forwards) {
            while (place < all_.events.size() && page.events.size() < count_max) {
                take(all_.events[place++].event);
            }
            page.end = place == all_.events.size();
            page.next = page.end ? all_.end : all_.events[place].event.position;
        } else {
            while (place > 0 && page.events.size() < count_max) {
                take(all_.events[--place].event);
            }
            page.end = place == 0;
            page.next = place < all_.events.size() ? all_.events[place].event.position : all_.end;
        }
        co_return page;
    }

    std::unique_ptr<subscription> subscribe_all(std::optional<position> after,
                                                all_filter filter) override {
        return make_catch_up(std::make_unique<all_source>(all_, after, std::move(filter)),
                             published_);
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        return make_catch_up(std::make_unique<stream_source>(all_, std::move(stream), after),
                             published_);
    }

    std::optional<position> head() const override {
        const std::lock_guard lock(all_.mutex);
        return all_.events.empty() ? std::nullopt
                                   : std::optional(all_.events.back().event.position);
    }
    base::log_identity identity() const override { return identity_; }
    write_state state() const override { return write_state::writable; }

private:
    base::result<append_outcome> append_now(std::vector<stream_write>& writes) {
        if (auto valid = eventlog::validate_append(writes); !valid) {
            return base::fail(std::move(valid.error()));
        }
        const std::lock_guard lock(all_.mutex);
        std::vector<memory_facts> facts;
        facts.reserve(writes.size());
        std::vector<eventlog::stream_facts*> views;
        for (const stream_write& write : writes) {
            facts.emplace_back(all_, write.stream);
            views.push_back(&facts.back());
        }
        auto verdict = eventlog::decide_append(writes, views);
        if (!verdict) {
            return base::fail(std::move(verdict.error()));
        }
        return verdict->write ? write(all_, writes, clock_.now()) : std::move(verdict->outcome);
    }

    base::clock& clock_;
    mutable contents all_;
    runtime::async_event published_;
    base::log_identity identity_;
};

} // namespace

std::unique_ptr<event_store> make_memory_store(base::clock& clock) {
    return std::make_unique<memory_store>(clock);
}

} // namespace immortal::eventstore
