#include "eventstore/event_filter.hpp"

#include <algorithm>
#include <re2/re2.h>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;

re2::StringPiece piece(std::string_view text) {
    return {text.data(), text.size()};
}

// What every server hides in `$all`.
bool kept_to_itself(std::string_view stream) {
    constexpr std::string_view of_all = "$persistentsubscription-$all::";
    return stream == "$epoch-information" ||
           (stream.starts_with(of_all) &&
            (stream.ends_with("-checkpoint") || stream.ends_with("-parked")));
}

// One half of a filter: the rule for a name.
class name_rule {
public:
    [[nodiscard]] base::status compile(const std::vector<std::string>& prefixes,
                                       const std::string& expression, const char* field) {
        prefixes_ = prefixes;
        if (expression.empty()) {
            return {};
        }
        re2::RE2::Options options;
        options.set_log_errors(false);
        expression_ = std::make_unique<re2::RE2>(expression, options);
        if (!expression_->ok()) {
            return fail(errc::invalid_argument,
                        "the filter's expression cannot be used: " + expression_->error(),
                        "bad_expression", field);
        }
        return {};
    }

    [[nodiscard]] bool allows(std::string_view name) const {
        const bool begins =
            prefixes_.empty() || std::ranges::any_of(prefixes_, [name](const std::string& prefix) {
                return name.starts_with(prefix);
            });
        return begins && (!expression_ || re2::RE2::PartialMatch(piece(name), *expression_));
    }

private:
    std::vector<std::string> prefixes_;
    std::unique_ptr<re2::RE2> expression_;
};

} // namespace

struct event_filter::compiled {
    name_rule stream;
    name_rule type;
    bool user_events_only = false;
    std::string key;
};

std::string event_filter::key_of(const all_filter& filter) {
    std::string key(filter.user_events_only ? "u" : "-");
    const auto put = [&key](std::string_view text) {
        key.append(std::to_string(text.size())).append(1, ':').append(text);
    };
    for (const auto* prefixes : {&filter.stream_prefixes, &filter.type_prefixes}) {
        key.append(std::to_string(prefixes->size())).append(1, ',');
        for (const std::string& prefix : *prefixes) {
            put(prefix);
        }
    }
    put(filter.stream_expression);
    put(filter.type_expression);
    return key;
}

const std::string& event_filter::key() const {
    return compiled_->key;
}

base::result<event_filter> event_filter::compile(const all_filter& filter) {
    auto made = std::make_shared<compiled>();
    made->user_events_only = filter.user_events_only;
    made->key = key_of(filter);
    auto done = made->stream.compile(filter.stream_prefixes, filter.stream_expression, "stream");
    if (done) {
        done = made->type.compile(filter.type_prefixes, filter.type_expression, "type");
    }
    if (!done) {
        return fail(std::move(done.error()));
    }
    return event_filter(std::move(made));
}

bool event_filter::wants(std::string_view stream, std::string_view type) const {
    if (stream.starts_with('$') && (compiled_->user_events_only || kept_to_itself(stream))) {
        return false;
    }
    if (compiled_->user_events_only && type.starts_with('$')) {
        return false;
    }
    return compiled_->stream.allows(stream) && compiled_->type.allows(type);
}

base::result<event_filter> filter_cache::get(const all_filter& filter) {
    std::string key = event_filter::key_of(filter);
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = kept_.find(key); found != kept_.end()) {
            return found->second;
        }
    }
    auto made = event_filter::compile(filter);
    if (made) {
        const std::lock_guard lock(mutex_);
        if (kept_.size() >= filters_max) {
            kept_.clear();
        }
        kept_.emplace(std::move(key), *made);
    }
    return made;
}

} // namespace immortal::eventstore
