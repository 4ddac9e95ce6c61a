// The seam between catching up and going live: with appends, publications, subscriptions and looks
// in any order, nothing is lost and nothing repeated. Everything runs on the test's own thread, in
// an order that its seed decides; no timer ever ends, so a lost wake-up shows at once.
#include "base/memory_file_system.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/embedded_reading.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace immortal::eventstore {
namespace {

using base::position;
using base::revision;

// (position, number): what a reader got.
using seen_event = std::pair<std::uint64_t, std::uint64_t>;

struct reader {
    std::string what;
    std::function<std::vector<seen_event>()> wanted; // what the log shows to it
    std::vector<seen_event> got;
    position processed;
    std::size_t considered = 0;
    bool ended = false;
    std::unique_ptr<subscription> from;
};

// Does something else before and after each look, as other threads would.
class interrupted_source final : public catch_up_source {
public:
    interrupted_source(std::unique_ptr<catch_up_source> inner, std::function<void()> meanwhile)
        : inner_(std::move(inner)), meanwhile_(std::move(meanwhile)) {}
    base::result<slice> pull(std::size_t count_max, std::size_t considered_max) override {
        meanwhile_();
        auto pulled = inner_->pull(count_max, considered_max);
        meanwhile_();
        return pulled;
    }
    std::optional<position> place() const override { return inner_->place(); }
    position pass_over(position next, position last_event) override {
        return inner_->pass_over(next, last_event);
    }

private:
    std::unique_ptr<catch_up_source> inner_;
    std::function<void()> meanwhile_;
};

awaitable<void> follow(std::shared_ptr<reader> one, std::size_t count_max,
                       std::size_t considered_max) {
    for (;;) {
        auto batch = co_await one->from->next(count_max, considered_max);
        if (!batch) {
            one->ended = true;
            co_return;
        }
        EXPECT_GE(batch->processed, one->processed) << one->what;
        one->processed = batch->processed;
        one->considered += batch->considered;
        for (const recorded_event& event : batch->events) {
            one->got.emplace_back(event.position.value, event.revision.value);
        }
    }
}

class scene {
public:
    explicit scene(std::uint64_t seed) : random_(seed) {
        auto opened = eventlog::log::open({.folder = "/log",
                                           .segment_size = 8192,
                                           .free_space_min = 0,
                                           .group_wait_max = std::chrono::microseconds(0)},
                                          disk_, clock_, random_, nullptr);
        log_ = std::move(opened.value());
        ticket_ = log_->add_listener([this](const eventlog::publication& what) {
            (void)board_->hand_over(what.head.end, what.entries);
        });
        board_->begin(log_->head().end);
    }
    ~scene() {
        log_->remove_listener(ticket_);
        for (const auto& one : readers_) {
            one->from->cancel();
        }
        run_all();
    }

    void play(std::size_t steps) {
        for (std::size_t i = 0; i < steps; ++i) {
            step();
            if (i + 1 == steps || pick(8) == 0) {
                settle();
                check();
            }
        }
    }
    // Compares what each got with what the log shows now.
    void check() {
        for (const auto& one : readers_) {
            EXPECT_FALSE(one->ended) << one->what;
            EXPECT_EQ(one->got, one->wanted()) << one->what;
        }
    }
    [[nodiscard]] std::size_t events() const {
        std::size_t sum = 0;
        for (const auto& one : readers_) {
            sum += one->got.size();
        }
        return sum;
    }

private:
    // Everybody gets what is there. A wake-up that was lost shows here: what comes later would
    // make good for it.
    void settle() {
        interruptions_ = 0;
        board_->work();
        run_all();
    }
    std::uint64_t pick(std::uint64_t count) { return random_.next() % count; }

    void step() {
        interruptions_ = 3;
        switch (pick(8)) {
        case 0:
        case 1:
            append();
            return;
        case 2:
            board_->work();
            return;
        case 3:
            if (readers_.size() < 12) {
                subscribe();
            }
            return;
        case 4:
            board_->report();
            return;
        default:
            executor_.restart();
            executor_.poll_one();
        }
    }
    void meanwhile() {
        if (pick(3) == 0 && interruptions_ > 0) {
            --interruptions_; // else looks and appends would go on for ever
            append();
        }
        if (pick(3) == 0) {
            board_->work();
        }
    }
    void run_all() {
        executor_.restart();
        while (executor_.poll() > 0) {
        }
    }

    std::string stream() {
        const char* categories[] = {"cat-", "dog-", "bird", "$x-"};
        return categories[pick(4)] + std::to_string(pick(3));
    }
    new_event event() {
        const char* types[] = {"A", "B", "$>"};
        new_event made;
        made.id = base::uuid::make_random(random_);
        made.type = types[pick(3)];
        made.data = made.type == "$>" ? "0@cat-0" : std::string(pick(400), 'x');
        made.metadata = R"({"$correlationId":"c)" + std::to_string(pick(2)) + "\"}";
        made.format = eventlog::content::binary;
        return made;
    }
    void append() {
        std::vector<stream_write> writes;
        writes.push_back({stream(), {}, {}});
        for (std::size_t n = pick(4) + 1; n > 0; --n) {
            writes.front().events.push_back(event());
        }
        std::promise<base::result<append_outcome>> answer;
        log_->append(std::move(writes), [&answer](base::result<append_outcome> outcome) {
            answer.set_value(outcome);
        });
        ASSERT_TRUE(answer.get_future().get());
    }

    void subscribe() {
        auto one = std::make_shared<reader>();
        std::unique_ptr<catch_up_source> source;
        std::unique_ptr<publication_watch> watch;
        std::size_t considered_max = subscription::unbounded;
        if (pick(2) == 0) {
            const char* expressions[] = {"", "^cat", "dog-1$", "never"};
            const auto filter =
                event_filter::compile({.stream_expression = expressions[pick(4)]}).value();
            const auto head = log_->head().last_event;
            const auto after = pick(2) == 0 ? std::nullopt : head;
            watch = board_->watch_all(filter);
            source = make_all_source(*log_, after, filter);
            one->what =
                "all " + filter.key() + " after " + std::to_string(after ? after->value : 0);
            one->wanted = [this, filter, after] { return read_all(filter, after); };
            considered_max = pick(2) == 0 ? considered_max : 1 + pick(20);
        } else {
            const char* views[] = {"$ce-cat", "$et-A", "$bc-c1", "$streams", "$category-dog"};
            const std::string name = pick(2) == 0 ? stream() : views[pick(5)];
            const auto after = pick(2) == 0 ? std::nullopt : last_of(name);
            watch = board_->watch_stream(name);
            source = make_stream_source(*log_, name, after);
            one->what = name + " after " + std::to_string(after ? after->value : 0);
            one->wanted = [this, name, after] { return read_stream(name, after); };
        }
        one->from = make_catch_up(
            std::make_unique<interrupted_source>(std::move(source), [this] { meanwhile(); }),
            std::move(watch));
        readers_.push_back(one);
        boost::asio::co_spawn(executor_, follow(one, 1 + pick(6), considered_max),
                              boost::asio::detached);
    }

    std::optional<revision> last_of(const std::string& name) {
        page_reading reading(*log_, name, {~0ull >> 1u}, direction::backwards, 1);
        (void)reading.step().value();
        return reading.page().last;
    }
    std::vector<seen_event> read_stream(const std::string& name, std::optional<revision> after) {
        page_reading reading(*log_, name, {after ? after->value + 1 : 0}, direction::forwards,
                             100'000);
        while (!reading.step().value()) {
        }
        std::vector<seen_event> out;
        for (const recorded_event& one : reading.page().events) {
            out.emplace_back(one.position.value, one.revision.value);
        }
        return out;
    }
    std::vector<seen_event> read_all(const event_filter& filter, std::optional<position> after) {
        std::vector<seen_event> out;
        position from{after ? after->value + 1 : 0};
        for (bool end = false; !end;) {
            const auto slice =
                log_->read_all(from, direction::forwards, 1000, record_filter_of(filter));
            for (const recorded_event& one : slice->events) {
                out.emplace_back(one.position.value, one.revision.value);
            }
            from = slice->next;
            end = slice->end;
        }
        return out;
    }

    base::seeded_random random_;
    base::memory_file_system disk_{7};
    base::system_clock clock_;
    std::unique_ptr<eventlog::log> log_;
    std::shared_ptr<publication_board> board_ = std::make_shared<publication_board>(nullptr);
    std::uint64_t ticket_ = 0;
    boost::asio::io_context executor_{1};
    std::vector<std::shared_ptr<reader>> readers_;
    std::size_t interruptions_ = 0; // that the looks of one step may suffer
};

TEST(subscription_seam, loses_and_repeats_nothing_in_any_order_of_steps) {
    const bool is_long = std::getenv("IMMORTAL_LONG") != nullptr;
    const std::uint64_t first = 1;
    std::size_t events = 0;
    for (std::uint64_t seed = first; seed < first + (is_long ? 1'000 : 30); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        scene one(seed);
        one.play(100);
        events += one.events();
        if (testing::Test::HasFailure()) {
            return;
        }
    }
    EXPECT_GT(events, 1'000u);
}

} // namespace
} // namespace immortal::eventstore
