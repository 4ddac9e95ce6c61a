#include "readmodel/leases.hpp"
#include "readmodel/test_world.hpp"

#include <atomic>

namespace immortal::readmodel {
namespace {

using testing::world;
using namespace eventstore;

// What another process wrote is not known here yet, as with a remote store between two looks.
class stale_store final : public event_store {
public:
    explicit stale_store(event_store& inner) : inner_(inner), head_(inner.head()) {}

    awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes,
                                                   append_terms terms) override {
        return inner_.append(std::move(writes), std::move(terms));
    }
    awaitable<base::result<stream_page>> read_stream(std::string stream, base::revision from,
                                                     direction way,
                                                     std::size_t count_max) override {
        return inner_.read_stream(std::move(stream), from, way, count_max);
    }
    awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) override {
        return inner_.stream_head(std::move(stream));
    }
    awaitable<base::result<stream_info>> info(std::string stream) override {
        return inner_.info(std::move(stream));
    }
    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        return inner_.resolve_links(std::move(events));
    }
    awaitable<base::result<all_page>> read_all(base::position from, direction way,
                                               std::size_t count_max, all_filter filter) override {
        ++reads;
        if (away) {
            co_return base::fail(base::errc::unavailable, "away");
        }
        co_return co_await inner_.read_all(from, way, count_max, std::move(filter));
    }
    std::unique_ptr<subscription> subscribe_all(std::optional<base::position> after,
                                                all_filter filter) override {
        return inner_.subscribe_all(after, std::move(filter));
    }
    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<base::revision> after) override {
        return inner_.subscribe_stream(std::move(stream), after);
    }
    std::optional<base::position> head() const override { return head_; }
    base::log_identity identity() const override { return inner_.identity(); }
    write_state state() const override { return inner_.state(); }

    std::atomic<std::size_t> reads = 0;
    std::atomic<bool> away = false;

private:
    event_store& inner_;
    const std::optional<base::position> head_;
};

class leases_test : public world {};

TEST_F(leases_test, checkpoints_beyond_a_stale_head_are_compared_with_the_store_itself) {
    story_.act(20);
    stale_store behind(*store_);
    story_.act(20);
    project();
    const auto fits = engine_.run(check_checkpoints(*db_, behind));
    EXPECT_TRUE(fits) << fits.error().message;
    EXPECT_EQ(behind.reads, 1u);
    behind.away = true;
    EXPECT_EQ(engine_.run(check_checkpoints(*db_, behind)).error().code, base::errc::unavailable)
        << "not known, so no false alarm";
    stale_store now(*store_);
    EXPECT_TRUE(engine_.run(check_checkpoints(*db_, now)));
    EXPECT_EQ(now.reads, 0u) << "the store is asked only when it matters";
    sql("UPDATE projection_checkpoints SET position = position + 1000000");
    EXPECT_EQ(engine_.run(check_checkpoints(*db_, now)).error().reason, "beyond_head");
}

TEST_F(leases_test, which_log_the_read_model_was_made_from_is_known) {
    const base::log_identity own = store_->identity();
    EXPECT_EQ(engine_.run(is_made_from(*db_, own)), false) << "of none yet";
    story_.act(20);
    project();
    EXPECT_EQ(engine_.run(is_made_from(*db_, own)), true);
    EXPECT_EQ(engine_.run(is_made_from(*db_, {own.id, own.epoch + 1})), false);
    EXPECT_EQ(engine_.run(is_made_from(*db_, {base::uuid{}, own.epoch})), false);
    EXPECT_EQ(engine_.run(is_made_from_another(*db_, {own.id, own.epoch + 1})), false);
    EXPECT_EQ(engine_.run(is_made_from_another(*db_, {base::uuid{}, own.epoch})), true);
}

} // namespace
} // namespace immortal::readmodel
