// Random consumers against a model: whatever they do, nothing is lost.
#include "esdb/persistent_group.hpp"
#include "esdb/source_event_testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace immortal::esdb {
namespace {

using namespace std::chrono_literals;

// Consumers that come, go, answer anything or nothing: checked against what a model remembers.
class random_group {
public:
    random_group(std::uint64_t seed, consumer_strategy strategy)
        : random_(seed), group_(settings_of(strategy), std::nullopt, now_) {}

    void run() {
        for (int step = 0; step < 3000; ++step) {
            act();
            check_promises();
        }
        // A faithful consumer at the end settles everything.
        while (!consumers_.empty()) {
            leave(consumers_.begin()->first);
        }
        const consumer_id last = join(7);
        for (int round = 0; round < 10'000 && group_.unsettled() > 0; ++round) {
            push();
            park_all(true);
            while (!consumers_[last].empty()) {
                answer(last, consumers_[last].begin()->first, 0);
            }
            check_promises();
        }
        ASSERT_EQ(group_.unsettled(), 0u);
        EXPECT_EQ(group_.settled().place, next_place_ - 1);
        EXPECT_EQ(settled_.size(), taken_) << "every event settled once";
        EXPECT_EQ(delivered_.size(), taken_);
    }

private:
    static group_settings settings_of(consumer_strategy strategy) {
        return {.strategy = strategy,
                .message_timeout = 10s,
                .min_checkpoint_count = 2,
                .max_checkpoint_count = 7,
                .max_retry_count = 3,
                .read_batch_size = 4,
                .history_buffer_size = 30};
    }
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }

    void act() {
        switch (pick(10)) {
        case 0:
            if (consumers_.size() < 4) {
                join(1 + pick(6));
            }
            break;
        case 1:
            if (!consumers_.empty() && pick(3) == 0) {
                leave(std::next(consumers_.begin(),
                                static_cast<std::ptrdiff_t>(pick(consumers_.size())))
                          ->first);
            }
            break;
        case 2:
            now_ += std::chrono::seconds(pick(8));
            expire();
            break;
        case 3:
            park_all(pick(2) == 0);
            break;
        case 4:
            if (const auto mark = group_.checkpoint_due(now_)) {
                EXPECT_FALSE(written_ && mark->place <= written_) << "a checkpoint went back";
                written_ = mark->place;
                group_.checkpoint_written(*mark, now_);
            }
            break;
        case 5:
        case 6:
            read();
            break;
        default:
            if (!consumers_.empty()) {
                auto& [id, held] = *std::next(consumers_.begin(),
                                              static_cast<std::ptrdiff_t>(pick(consumers_.size())));
                if (!held.empty()) {
                    const auto which =
                        std::next(held.begin(), static_cast<std::ptrdiff_t>(pick(held.size())));
                    answer(id, which->first, pick(6));
                }
            }
        }
        push();
    }

    void read() {
        for (std::size_t room = std::min<std::size_t>(group_.room(), 4); room > 0; --room) {
            const std::uint64_t place = next_place_++;
            if (pick(4) == 0) {
                group_.skip(place, 1);
                continue;
            }
            group_.take(place, make_source_event(place, "s-" + std::to_string(pick(9))));
            unsettled_.insert(place);
            ++taken_;
        }
    }
    consumer_id join(std::size_t slots) {
        const consumer_id id = group_.connect(slots);
        consumers_[id];
        slots_[id] = slots;
        return id;
    }
    void leave(consumer_id id) {
        group_.disconnect(id);
        consumers_.erase(id);
    }
    void expire() {
        group_.expire(now_);
        for (auto& [id, held] : consumers_) {
            std::erase_if(held,
                          [this](const auto& one) { return now_ - one.second.second >= 10s; });
        }
    }
    void push() {
        for (delivery& one : group_.push(now_)) {
            EXPECT_TRUE(unsettled_.contains(one.message.place)) << "settled, and given again";
            EXPECT_LE(one.message.retry_count, 3);
            delivered_.insert(one.message.place);
            consumers_.at(one.to).emplace(one.message.place, std::pair(one.message, now_));
        }
    }
    void settle(std::uint64_t place) {
        EXPECT_TRUE(settled_.insert(place).second) << "settled twice";
        unsettled_.erase(place);
    }
    void answer(consumer_id from, std::uint64_t place, std::uint64_t how) {
        const group_message message = consumers_[from].at(place).first;
        consumers_[from].erase(place);
        if (how < 3) {
            group_.ack(from, message.id, now_);
            settle(place);
        } else if (how == 3) {
            group_.nack(from, message.id, nack_action::skip, {}, now_);
            settle(place);
        } else {
            group_.nack(from, message.id, how == 4 ? nack_action::park : nack_action::retry, {},
                        now_);
        }
    }
    void park_all(bool works) {
        for (parking& one : group_.take_parkings()) {
            if (works) {
                settle(one.message.place);
                group_.parked(one.message);
            } else {
                group_.unparked(std::move(one));
            }
        }
    }
    void check_promises() {
        std::size_t held = 0;
        std::map<std::uint32_t, consumer_id> holders;
        for (const auto& [id, messages] : consumers_) {
            ASSERT_LE(messages.size(), slots_.at(id));
            ASSERT_EQ(messages.size(), group_.consumers().held(id));
            held += messages.size();
            for (const auto& [place, one] : messages) {
                const auto [known, fresh] = holders.emplace(one.first.bucket, id);
                ASSERT_TRUE(fresh || known->second == id || !group_.consumers().overtaking())
                    << "one bucket at two consumers";
            }
        }
        ASSERT_EQ(group_.in_flight(), held);
        ASSERT_EQ(group_.unsettled(), unsettled_.size());
        ASSERT_LE(group_.waiting_new(), 30u);
        const auto mark = group_.settled();
        ASSERT_FALSE(mark.place && !unsettled_.empty() && *mark.place >= *unsettled_.begin())
            << "the checkpoint passed an unsettled event";
    }

    std::mt19937_64 random_;
    base::steady_time now_{1h};
    persistent_group group_;
    std::map<consumer_id, std::map<std::uint64_t, std::pair<group_message, base::steady_time>>>
        consumers_;
    std::map<consumer_id, std::size_t> slots_;
    std::uint64_t next_place_ = 0;
    std::size_t taken_ = 0;
    std::optional<std::uint64_t> written_;
    std::set<std::uint64_t> unsettled_;
    std::set<std::uint64_t> settled_;
    std::set<std::uint64_t> delivered_;
};

TEST(persistent_group_property_test, nothing_is_lost_whatever_consumers_do) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        for (const auto strategy :
             {consumer_strategy::round_robin, consumer_strategy::dispatch_to_single,
              consumer_strategy::pinned, consumer_strategy::pinned_by_correlation}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << " " << name_of(strategy));
            random_group(seed, strategy).run();
            if (testing::Test::HasFailure()) {
                return;
            }
        }
    }
}

} // namespace
} // namespace immortal::esdb
