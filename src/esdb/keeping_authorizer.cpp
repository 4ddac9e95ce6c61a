#include "esdb/keeping_authorizer.hpp"

#include <utility>

namespace immortal::esdb {
namespace {

class keeping_authorizer final : public authorizer {
public:
    keeping_authorizer(std::unique_ptr<authorizer> inner, kept_families kept)
        : inner_(std::move(inner)), kept_(std::move(kept)) {}

    awaitable<base::result<principal>> authenticate(call_headers headers) override {
        return inner_->authenticate(std::move(headers));
    }
    awaitable<base::status> may_access(principal who, stream_right right,
                                       std::string stream) override {
        if (auto allowed = judge(right, stream); !allowed) {
            co_return allowed;
        }
        co_return co_await inner_->may_access(std::move(who), right, std::move(stream));
    }
    awaitable<base::status> may_access_each(principal who, stream_needs needs) override {
        std::size_t number = 0;
        for (const stream_need& need : needs) {
            co_await take_turns(++number);
            if (auto allowed = judge(need.right, need.stream); !allowed) {
                co_return allowed;
            }
        }
        co_return co_await inner_->may_access_each(std::move(who), std::move(needs));
    }
    awaitable<base::status> may_use_streams(principal who) override {
        return inner_->may_use_streams(std::move(who));
    }
    awaitable<base::status> may_operate(principal who, operation what) override {
        return inner_->may_operate(std::move(who), what);
    }

private:
    [[nodiscard]] base::status judge(stream_right right, const std::string& stream) const {
        return changes(right) ? check_kept(stream, kept_) : base::status{};
    }

    const std::unique_ptr<authorizer> inner_;
    const kept_families kept_;
};

} // namespace

std::unique_ptr<authorizer> make_keeping_authorizer(std::unique_ptr<authorizer> inner,
                                                    kept_families kept) {
    return std::make_unique<keeping_authorizer>(std::move(inner), std::move(kept));
}

} // namespace immortal::esdb
