#include "redis/client.hpp"

#include "redis/link.hpp"
#include "runtime/uncancelled.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <iterator>

namespace immortal::redis {

namespace asio = boost::asio;
using base::fail;

namespace {

using replies = base::result<std::vector<reply>>;

class pooled_client final : public client {
public:
    pooled_client(const asio::any_io_executor& executor, const settings& options,
                  base::metrics& metrics)
        : succeeded_(metrics.make_counter("immortal_redis_commands_total", "Commands to Redis",
                                          {{"outcome", "ok"}})),
          failed_(metrics.make_counter("immortal_redis_commands_total", "Commands to Redis",
                                       {{"outcome", "error"}})),
          seconds_(metrics.make_histogram("immortal_redis_call_seconds", "Duration of a call",
                                          base::metrics::latency_bounds())) {
        for (std::size_t i = 0; i < std::max<std::size_t>(1, options.connections); ++i) {
            links_.push_back(std::make_shared<link>(executor, options));
        }
    }
    ~pooled_client() override {
        for (const auto& each : links_) {
            asio::post(each->executor(), [each] { each->shut(); });
        }
    }

    awaitable<base::result<reply>> run(command c) override {
        std::vector<command> one;
        one.push_back(std::move(c));
        auto got = co_await run_all(std::move(one));
        if (!got) {
            co_return fail(got.error());
        }
        co_return std::move(got->front());
    }

    awaitable<replies> run_all(std::vector<command> commands) override {
        const auto begun = std::chrono::steady_clock::now();
        const auto count = static_cast<double>(commands.size());
        const auto& via = links_[next_.fetch_add(1, std::memory_order_relaxed) % links_.size()];
        auto got = co_await asio::co_spawn(via->executor(), via->run(std::move(commands)),
                                           runtime::uncancelled());
        seconds_.observe(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
        (got ? succeeded_ : failed_).add(count);
        co_return got;
    }

    awaitable<base::result<reply>> eval(const script& s, std::vector<std::string> keys,
                                        std::vector<std::string> values) override {
        command c{"EVALSHA", s.digest(), std::to_string(keys.size())};
        std::ranges::move(keys, std::back_inserter(c));
        std::ranges::move(values, std::back_inserter(c));
        std::string text = s.text(); // `s` need not outlive the call
        return eval_known(std::move(c), std::move(text));
    }

    [[nodiscard]] bool available() const override {
        return std::ranges::any_of(links_, [](const auto& each) { return each->connected(); });
    }

    awaitable<void> stop() override {
        for (const auto& each : links_) {
            co_await asio::co_spawn(each->executor(), each->stop(), runtime::uncancelled());
        }
    }

private:
    awaitable<base::result<reply>> eval_known(command c, std::string text) {
        auto got = co_await run(c);
        if (got && got->is_error() && got->text.starts_with("NOSCRIPT")) {
            c[0] = "EVAL"; // which also makes it known
            c[1] = std::move(text);
            got = co_await run(std::move(c));
        }
        co_return got;
    }

    std::vector<std::shared_ptr<link>> links_;
    std::atomic<std::size_t> next_ = 0;
    base::counter succeeded_;
    base::counter failed_;
    base::histogram seconds_;
};

} // namespace

std::unique_ptr<client> make_client(asio::any_io_executor executor, settings options,
                                    base::metrics& metrics) {
    return std::make_unique<pooled_client>(executor, options, metrics);
}

} // namespace immortal::redis
