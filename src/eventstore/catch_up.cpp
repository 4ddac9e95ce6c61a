#include "eventstore/catch_up.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>

namespace immortal::eventstore {
namespace {

// A waiting subscription looks at its cancel flag and the log at least this often.
constexpr std::chrono::milliseconds wait_max{5000};

class catch_up_subscription final : public subscription {
public:
    catch_up_subscription(std::unique_ptr<catch_up_source> source, runtime::async_event& published)
        : source_(std::move(source)), published_(published) {}

    awaitable<base::result<batch>> next(std::size_t count_max,
                                        std::size_t considered_max) override {
        considered_max = std::max<std::size_t>(considered_max, 1);
        for (std::size_t considered = 0;;) {
            const std::uint64_t seen = published_.version();
            if (cancelled_.load()) {
                co_return base::fail(base::errc::cancelled, "the subscription was cancelled");
            }
            auto pulled = source_->pull(std::max<std::size_t>(count_max, 1),
                                        considered_max == unbounded ? unbounded
                                                                    : considered_max - considered);
            if (!pulled) {
                co_return base::fail(std::move(pulled.error()));
            }
            const bool first_time = pulled->caught_up && !was_caught_up_;
            was_caught_up_ = was_caught_up_ || pulled->caught_up;
            considered += pulled->considered;
            if (!pulled->events.empty() || first_time || considered >= considered_max) {
                pulled->considered = considered;
                co_return std::move(*pulled);
            }
            if (pulled->caught_up) {
                co_await published_.wait(seen, wait_max);
            } else { // nothing that matches so far: let others have the thread
                co_await boost::asio::post(boost::asio::use_awaitable);
            }
        }
    }

    void cancel() override {
        cancelled_.store(true);
        published_.notify_all();
    }

private:
    std::unique_ptr<catch_up_source> source_;
    runtime::async_event& published_;
    std::atomic<bool> cancelled_{false};
    bool was_caught_up_ = false;
};

class refused_source final : public catch_up_source {
public:
    explicit refused_source(base::error why) : why_(std::move(why)) {}
    base::result<subscription::batch> pull(std::size_t /*count_max*/,
                                           std::size_t /*considered_max*/) override {
        return base::fail(why_);
    }

private:
    base::error why_;
};

} // namespace

std::unique_ptr<subscription> make_catch_up(std::unique_ptr<catch_up_source> source,
                                            runtime::async_event& published) {
    return std::make_unique<catch_up_subscription>(std::move(source), published);
}

std::unique_ptr<catch_up_source> make_refused_source(base::error why) {
    return std::make_unique<refused_source>(std::move(why));
}

} // namespace immortal::eventstore
