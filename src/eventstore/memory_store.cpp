#include "eventstore/memory_store.hpp"

#include "base/random.hpp"
#include "eventlog/correlation.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/memory_contents.hpp"
#include "eventstore/publication_hub.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::position;
using base::revision;

class all_source final : public catch_up_source {
public:
    all_source(memory_contents& all, std::optional<position> after, const event_filter& filter)
        : all_(all), filter_(filter), from_(after ? after->value + 1 : 0),
          processed_(after.value_or(position{})) {}

    base::result<slice> pull(std::size_t count_max, std::size_t considered_max) override {
        const std::lock_guard lock(all_.mutex);
        const auto& events = all_.events();
        subscription::batch out;
        const std::size_t begin = all_.place_of({from_});
        std::size_t place = begin;
        std::size_t whole = 0;
        std::size_t whole_place = place;
        while (place < events.size() && out.events.size() < count_max &&
               place - begin < considered_max) {
            const recorded_event& event = events[place++];
            if (filter_.wants(event.stream, event.type)) {
                out.events.push_back(event);
            }
            if (event.last_in_batch) {
                whole = out.events.size();
                whole_place = place;
            }
        }
        if (whole > 0 && considered_max == subscription::unbounded) {
            out.events.resize(whole);
            place = whole_place;
        }
        if (place > begin) {
            processed_ = events[place - 1].position;
            from_ = processed_.value + 1;
        }
        out.processed = processed_;
        out.considered = place - begin;
        out.caught_up = place == events.size();
        from_ = out.caught_up ? all_.end().value : from_;
        return slice{std::move(out)};
    }

    std::optional<position> place() const override { return position{from_}; }
    position pass_over(position next, position last_event) override {
        from_ = next.value;
        processed_ = std::max(processed_, last_event);
        return processed_;
    }

private:
    memory_contents& all_;
    event_filter filter_;
    std::uint64_t from_;
    position processed_;
};

class stream_source final : public catch_up_source {
public:
    stream_source(memory_contents& all, std::string name, std::optional<revision> after)
        : all_(all), name_(std::move(name)), from_{after ? after->value + 1 : 0} {}

    base::result<slice> pull(std::size_t count_max, std::size_t) override {
        const std::lock_guard lock(all_.mutex);
        auto page = all_.page(name_, from_, direction::forwards, count_max);
        if (!page) {
            return last_event(std::move(page.error()));
        }
        begun_ = true;
        subscription::batch out{.events = std::move(page->events), .processed = {}};
        const std::size_t whole = whole_part(out.events);
        out.caught_up = page->end && whole == out.events.size();
        out.events.resize(whole);
        if (!out.events.empty()) {
            processed_ = out.events.back().position;
            from_ = {out.events.back().revision.value + 1};
        }
        out.processed = processed_;
        return slice{std::move(out)};
    }

private:
    // How many belong to appends that are there completely; all, if not even the first does.
    std::size_t whole_part(const std::vector<recorded_event>& events) {
        if (eventlog::view_of(name_)) {
            return events.size();
        }
        for (std::size_t count = events.size(); count > 0; --count) {
            if (all_.ends_stream_write(events[count - 1])) {
                return count;
            }
        }
        return events.size();
    }

    base::result<slice> last_event(base::error why) {
        const recorded_event* tombstone = all_.tombstone(name_);
        if (!std::exchange(begun_, false) || tombstone == nullptr) {
            return base::fail(std::move(why));
        }
        return slice{{.events = {*tombstone}, .processed = tombstone->position, .caught_up = true}};
    }

    memory_contents& all_;
    std::string name_;
    revision from_;
    position processed_;
    bool begun_ = false; // and not ended by a tombstone
};

class memory_store final : public event_store {
public:
    explicit memory_store(base::clock& clock) : all_(clock) {
        base::system_random random;
        identity_.id = base::uuid::make_random(random);
        hub_.begin(all_.end());
    }

    awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes,
                                                   append_terms terms) override {
        co_return append_now(writes, terms.unmet.get());
    }

    awaitable<base::result<stream_page>> read_stream(std::string name, revision from, direction way,
                                                     std::size_t count_max) override {
        const std::lock_guard lock(all_.mutex);
        co_return all_.page(name, from, way, count_max);
    }

    awaitable<base::result<std::optional<revision>>> stream_head(std::string name) override {
        const std::lock_guard lock(all_.mutex);
        co_return all_.last(name);
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        const std::lock_guard lock(all_.mutex);
        co_return all_.info(stream);
    }

    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        const std::lock_guard lock(all_.mutex);
        co_return follow_links(std::move(events), all_);
    }

    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        const auto wanted = event_filter::compile(filter);
        if (!wanted) {
            co_return base::fail(wanted.error());
        }
        const std::lock_guard lock(all_.mutex);
        const auto& events = all_.events();
        all_page page;
        std::size_t place = all_.place_of(from);
        const auto take = [&](const recorded_event& event) {
            if (wanted->wants(event.stream, event.type)) {
                page.events.push_back(event);
            }
        };
        if (way == direction::forwards) {
            while (place < events.size() && page.events.size() < count_max) {
                take(events[place++]);
            }
            page.end = place == events.size();
        } else {
            while (place > 0 && page.events.size() < count_max) {
                take(events[--place]);
            }
            page.end = place == 0;
        }
        page.next = place < events.size() ? events[place].position : all_.end();
        co_return page;
    }

    std::unique_ptr<subscription> subscribe_all(std::optional<position> after,
                                                all_filter filter) override {
        auto compiled = event_filter::compile(filter);
        if (!compiled) {
            return make_refused(std::move(compiled.error()));
        }
        auto watch = hub_.board().watch_all(*compiled);
        return make_catch_up(std::make_unique<all_source>(all_, after, *compiled),
                             std::move(watch));
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        auto watch = hub_.board().watch_stream(stream);
        return make_catch_up(std::make_unique<stream_source>(all_, std::move(stream), after),
                             std::move(watch));
    }

    std::optional<position> head() const override {
        const std::lock_guard lock(all_.mutex);
        return all_.events().empty() ? std::nullopt : std::optional(all_.events().back().position);
    }
    base::log_identity identity() const override { return identity_; }
    write_state state() const override { return write_state::writable; }

private:
    base::result<append_outcome> append_now(std::vector<stream_write>& writes,
                                            std::vector<unmet_expectation>* unmet) {
        const std::lock_guard lock(all_.mutex);
        const std::size_t before = all_.events().size();
        auto outcome = all_.append(writes, unmet);
        publish_from(before);
        return outcome;
    }

    // Hands over the events from a place on; with the lock, so that they come in order.
    void publish_from(std::size_t place) {
        const auto& events = all_.events();
        std::vector<std::string> buffers(events.size() - place);
        std::vector<eventlog::index_entry> entries;
        for (std::size_t n = place; n < events.size(); ++n) {
            const recorded_event& event = events[n];
            entries.push_back({event.stream, event.type,
                               eventlog::correlation_of(event.metadata, buffers[n - place]),
                               event.revision, event.position});
        }
        if (!entries.empty()) {
            hub_.publish(all_.end(), entries);
        }
    }

    memory_contents all_;
    publication_hub hub_{nullptr};
    base::log_identity identity_;
};

} // namespace

std::unique_ptr<event_store> make_memory_store(base::clock& clock) {
    return std::make_unique<memory_store>(clock);
}

} // namespace immortal::eventstore
