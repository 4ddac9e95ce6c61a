// A subscription of a store in this process.
//
// It alternates between looking and sleeping; publication_board.hpp says why no wake-up is lost.
// What it delivers it has read from the store itself, from where the last look ended: a wake-up is
// a hint and never carries events, so nothing is repeated or left out however often it is woken.
// An append that one slice cuts is kept (`batch_`) until its end was read, bounded by `count_max`.
//
// Who counts events (`considered_max`) is told of those that he does not want as well: as soon as
// they are so many, or report_after after the first of them.
#include "eventstore/catch_up.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

namespace immortal::eventstore {
namespace {

// A sleeping subscription looks at the log at least this often, whatever happens.
constexpr std::chrono::milliseconds sleep_max{60'000};

class catch_up_subscription final : public subscription {
public:
    catch_up_subscription(std::unique_ptr<catch_up_source> source,
                          std::unique_ptr<publication_watch> watch)
        : source_(std::move(source)), watch_(std::move(watch)), counted_(watch_->look().events) {}

    awaitable<base::result<batch>> next(std::size_t count_max,
                                        std::size_t considered_max) override {
        count_max = std::max<std::size_t>(count_max, 1);
        considered_max = std::max<std::size_t>(considered_max, 1);
        for (bool overdue = false;;) {
            const auto seen = watch_->look();
            if (cancelled_.load()) {
                co_return base::fail(base::errc::cancelled, "the subscription was cancelled");
            }
            const auto ready = look(seen, count_max, considered_max);
            if (!ready) {
                co_return base::fail(ready.error());
            }
            overdue = overdue && considered_max != unbounded && batch_.considered > 0;
            if (*ready || overdue) {
                co_return std::exchange(batch_, {});
            }
            if (batch_.caught_up) {
                overdue = !co_await wait_for_news(seen, considered_max);
            } else { // nothing to deliver so far: let others have the thread
                co_await boost::asio::post(boost::asio::use_awaitable);
            }
        }
    }

    void cancel() override {
        cancelled_.store(true);
        watch_->wake();
    }

private:
    // Looks at one slice; true: `batch_` is to be delivered.
    base::result<bool> look(const publication_watch::sight& seen, std::size_t count_max,
                            std::size_t considered_max) {
        const bool counting = considered_max != unbounded;
        const std::size_t already = batch_.considered;
        const bool quiet = pass_over_quiet();
        bool unfinished = false;
        if (!quiet) {
            auto pulled = source_->pull(
                count_max - batch_.events.size(),
                counting ? considered_max - std::min(already, considered_max - 1) : unbounded);
            if (!pulled) {
                return base::fail(std::move(pulled.error()));
            }
            unfinished = pulled->unfinished && !counting;
            take(std::move(pulled->part));
            counted_ = batch_.caught_up ? seen.events : counted_;
        }
        const bool first_time = batch_.caught_up && !was_caught_up_;
        was_caught_up_ = was_caught_up_ || batch_.caught_up;
        const bool events =
            !batch_.events.empty() && (!unfinished || batch_.events.size() >= count_max);
        const bool counted = batch_.considered >= considered_max ||
                             (counting && quiet && batch_.considered > already);
        return events || first_time || counted;
    }

    void take(batch part) {
        if (batch_.events.empty()) {
            batch_.events = std::move(part.events);
        } else {
            std::ranges::move(part.events, std::back_inserter(batch_.events));
        }
        batch_.processed = part.processed;
        batch_.caught_up = part.caught_up;
        batch_.considered += part.considered;
    }

    // Goes to where something may be wanted, if that is known. True: nowhere before the end.
    bool pass_over_quiet() {
        const auto place = source_->place();
        const auto ahead = place ? watch_->quiet_from(*place) : std::nullopt;
        if (!ahead) {
            return false;
        }
        batch_.processed = source_->pass_over(ahead->next, ahead->last_event);
        batch_.considered += ahead->events > counted_ ? ahead->events - counted_ : 0;
        counted_ = std::max(counted_, ahead->events);
        batch_.caught_up = ahead->quiet;
        return ahead->quiet;
    }

    // True: woken. False after so long that what was considered should be told.
    awaitable<bool> wait_for_news(publication_watch::sight seen, std::size_t considered_max) {
        const bool counting = considered_max != unbounded;
        const bool soon =
            counting && (batch_.considered > 0 || !watch_->ask_report(seen, considered_max));
        const bool woken = co_await watch_->wait(seen.version, soon ? report_after : sleep_max);
        watch_->end_report();
        co_return woken;
    }

    std::unique_ptr<catch_up_source> source_;
    std::unique_ptr<publication_watch> watch_;
    std::atomic<bool> cancelled_{false};
    std::uint64_t counted_; // events published before the place that was reached, about
    batch batch_;           // to be delivered next, not whole yet
    bool was_caught_up_ = false;
};

class refused_subscription final : public subscription {
public:
    explicit refused_subscription(base::error why) : why_(std::move(why)) {}
    awaitable<base::result<batch>> next(std::size_t /*count_max*/,
                                        std::size_t /*considered_max*/) override {
        co_return base::fail(why_);
    }
    void cancel() override {}

private:
    base::error why_;
};

} // namespace

std::unique_ptr<subscription> make_catch_up(std::unique_ptr<catch_up_source> source,
                                            std::unique_ptr<publication_watch> watch) {
    return std::make_unique<catch_up_subscription>(std::move(source), std::move(watch));
}

std::unique_ptr<subscription> make_refused(base::error why) {
    return std::make_unique<refused_subscription>(std::move(why));
}

} // namespace immortal::eventstore
