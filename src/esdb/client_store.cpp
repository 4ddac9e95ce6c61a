#include "esdb/client_store.hpp"

#include <utility>

namespace immortal::esdb {
namespace {

using namespace eventstore;
using base::position;
using base::revision;

class client_store final : public event_store {
public:
    client_store(event_store& inner, protection level, kept_families kept)
        : inner_(inner), level_(level), kept_(std::move(kept)) {}

    awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes,
                                                   append_terms terms) override {
        for (const stream_write& write : writes) {
            if (auto allowed = check_client_write(write, level_, kept_); !allowed) {
                co_return base::fail(std::move(allowed.error()));
            }
        }
        co_return co_await inner_.append(std::move(writes), std::move(terms));
    }

    awaitable<base::result<stream_page>>
    read_stream(std::string stream, revision from, direction way, std::size_t count_max) override {
        return inner_.read_stream(std::move(stream), from, way, count_max);
    }
    awaitable<base::result<std::optional<revision>>> stream_head(std::string stream) override {
        return inner_.stream_head(std::move(stream));
    }
    awaitable<base::result<stream_info>> info(std::string stream) override {
        return inner_.info(std::move(stream));
    }
    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        return inner_.resolve_links(std::move(events));
    }
    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        return inner_.read_all(from, way, count_max, std::move(filter));
    }
    std::unique_ptr<subscription> subscribe_all(std::optional<position> after,
                                                all_filter filter) override {
        return inner_.subscribe_all(after, std::move(filter));
    }
    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        return inner_.subscribe_stream(std::move(stream), after);
    }
    std::optional<position> head() const override { return inner_.head(); }
    base::log_identity identity() const override { return inner_.identity(); }
    write_state state() const override { return inner_.state(); }

private:
    event_store& inner_;
    const protection level_;
    const kept_families kept_;
};

} // namespace

std::unique_ptr<event_store> make_client_store(event_store& inner, protection level,
                                               kept_families kept) {
    return std::make_unique<client_store>(inner, level, std::move(kept));
}

} // namespace immortal::esdb
