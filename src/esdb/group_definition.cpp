#include "esdb/group_definition.hpp"

#include "base/json.hpp"

#include <fmt/format.h>

#include <charconv>

namespace immortal::esdb {
namespace {

namespace json = boost::json;

constexpr char config_version[] = "2";

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [at, problem] = std::from_chars(text.data(), end, value);
    return text.empty() || problem != std::errc() || at != end ? std::nullopt
                                                               : std::optional(value);
}

std::string numbered(std::string_view number, bool of_all) {
    return of_all ? fmt::format("C:{}/P:{}", number, number) : std::string(number);
}

std::optional<group_start> parse_start(std::string_view text, bool of_all) {
    if (text == numbered("-1", of_all)) {
        return group_start{group_start::kind::end};
    }
    const auto place = parse_place(text, of_all);
    if (!place) {
        return std::nullopt;
    }
    return *place == 0 ? group_start{} : group_start{group_start::kind::place, *place};
}

json::value filter_json(const std::optional<eventstore::all_filter>& filter) {
    if (!filter) {
        return nullptr;
    }
    const bool by_type = !filter->type_prefixes.empty() || !filter->type_expression.empty();
    const auto& expression = by_type ? filter->type_expression : filter->stream_expression;
    const auto& prefixes = by_type ? filter->type_prefixes : filter->stream_prefixes;
    json::array data;
    if (!expression.empty()) {
        data.emplace_back(expression);
    }
    for (const std::string& prefix : prefixes) {
        data.emplace_back(prefix);
    }
    return json::object{{"context", by_type ? "EventType" : "StreamId"},
                        {"type", expression.empty() ? "Prefix" : "Regex"},
                        {"data", std::move(data)}};
}

// The fields of a JSON object; notes what is missing or of the wrong type.
class fields {
public:
    explicit fields(const json::value& in) : object_(in.if_object()) { fine_ = object_ != nullptr; }

    [[nodiscard]] bool fine() const { return fine_; }
    void require(bool holds) { fine_ = fine_ && holds; }
    [[nodiscard]] const json::value* find(const char* key) const {
        return object_ == nullptr ? nullptr : object_->if_contains(key);
    }
    std::string text(const char* key) {
        const auto* value = find(key);
        require(value != nullptr && value->is_string());
        return fine_ ? std::string(value->get_string()) : std::string();
    }
    bool flag(const char* key) {
        const auto* value = find(key);
        require(value != nullptr && value->is_bool());
        return fine_ && value->get_bool();
    }
    std::int32_t number(const char* key) {
        const auto* value = find(key);
        require(value != nullptr && value->is_int64() && value->get_int64() >= 0 &&
                value->get_int64() <= INT32_MAX);
        return fine_ ? static_cast<std::int32_t>(value->get_int64()) : 0;
    }

private:
    const json::object* object_;
    bool fine_ = true;
};

std::optional<eventstore::all_filter> parse_filter(fields& entry) {
    const auto* value = entry.find("filter");
    if (value == nullptr || value->is_null()) {
        return std::nullopt;
    }
    fields in(*value);
    const bool by_type = in.text("context") == "EventType";
    const bool expression = in.text("type") == "Regex";
    std::vector<std::string> data;
    const auto* list = in.find("data");
    entry.require(in.fine() && list != nullptr && list->is_array() && !list->get_array().empty());
    if (!entry.fine()) {
        return std::nullopt;
    }
    for (const json::value& one : list->get_array()) {
        entry.require(one.is_string());
        data.emplace_back(one.is_string() ? std::string(one.get_string()) : std::string());
    }
    eventstore::all_filter out;
    if (expression) {
        (by_type ? out.type_expression : out.stream_expression) = data.front();
    } else {
        (by_type ? out.type_prefixes : out.stream_prefixes) = std::move(data);
    }
    return out;
}

json::value entry_json(const group_definition& group) {
    const group_settings& s = group.settings;
    json::object out{{"stream", group.stream},
                     {"group", group.group},
                     {"filter", filter_json(group.filter)},
                     {"resolveLinkTos", s.resolve_links},
                     {"extraStatistics", s.extra_statistics},
                     {"messageTimeout", s.message_timeout.count()},
                     {"startPosition", start_text(group.start, group.of_all())},
                     {"liveBufferSize", s.live_buffer_size},
                     {"historyBufferSize", s.history_buffer_size},
                     {"maxRetryCount", s.max_retry_count},
                     {"readBatchSize", s.read_batch_size},
                     {"preferRoundRobin", s.strategy == consumer_strategy::round_robin},
                     {"checkPointAfter", s.checkpoint_after.count()},
                     {"minCheckPointCount", s.min_checkpoint_count},
                     {"maxCheckPointCount", s.max_checkpoint_count},
                     {"maxSubscriberCount", s.max_subscriber_count},
                     {"namedConsumerStrategy", name_of(s.strategy)}};
    if (!group.of_all()) {
        out["startFrom"] = group.start.what == group_start::kind::end
                               ? -1
                               : static_cast<std::int64_t>(group.start.place);
    }
    if (group.end_was) {
        out["endWas"] = place_text(*group.end_was, group.of_all());
    }
    return out;
}

std::optional<group_definition> parse_entry(const json::value& value) {
    fields in(value);
    group_definition out;
    out.stream = in.text("stream");
    out.group = in.text("group");
    out.filter = parse_filter(in);
    group_settings& s = out.settings;
    s.resolve_links = in.flag("resolveLinkTos");
    s.extra_statistics = in.flag("extraStatistics");
    s.message_timeout = std::chrono::milliseconds(in.number("messageTimeout"));
    s.live_buffer_size = in.number("liveBufferSize");
    s.history_buffer_size = in.number("historyBufferSize");
    s.max_retry_count = in.number("maxRetryCount");
    s.read_batch_size = in.number("readBatchSize");
    s.checkpoint_after = std::chrono::milliseconds(in.number("checkPointAfter"));
    s.min_checkpoint_count = in.number("minCheckPointCount");
    s.max_checkpoint_count = in.number("maxCheckPointCount");
    s.max_subscriber_count = in.number("maxSubscriberCount");
    const auto strategy = strategy_named(in.text("namedConsumerStrategy"));
    const auto start = parse_start(in.text("startPosition"), out.of_all());
    in.require(strategy && start);
    if (in.find("endWas") != nullptr) {
        out.end_was = parse_place(in.text("endWas"), out.of_all());
        in.require(out.end_was.has_value());
    }
    if (!in.fine()) {
        return std::nullopt;
    }
    s.strategy = *strategy;
    out.start = *start;
    return check(s) ? std::optional(std::move(out)) : std::nullopt;
}

} // namespace

std::optional<std::uint64_t> group_definition::begins_after() const {
    switch (start.what) {
    case group_start::kind::end:
        return end_was;
    case group_start::kind::place:
        return start.place == 0 ? std::nullopt : std::optional(start.place - 1);
    default:
        return std::nullopt;
    }
}

std::string checkpoint_stream(const std::string& key) {
    return "$persistentsubscription-" + key + "-checkpoint";
}

std::string parked_stream(const std::string& key) {
    return "$persistentsubscription-" + key + "-parked";
}

std::string place_text(std::uint64_t place, bool of_all) {
    return numbered(std::to_string(place), of_all);
}

std::optional<std::uint64_t> parse_place(std::string_view text, bool of_all) {
    if (!of_all) {
        return parse_number(text);
    }
    const auto slash = text.find("/P:");
    if (!text.starts_with("C:") || slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto commit = parse_number(text.substr(2, slash - 2));
    return parse_number(text.substr(slash + 3)) ? commit : std::nullopt;
}

std::string start_text(const group_start& start, bool of_all) {
    return start.what == group_start::kind::end ? numbered("-1", of_all)
                                                : place_text(start.place, of_all);
}

std::string config_text(const std::vector<group_definition>& groups, base::utc_time updated,
                        std::string_view updated_by) {
    json::array entries;
    for (const group_definition& group : groups) {
        entries.push_back(entry_json(group));
    }
    return json::serialize(json::object{{"version", config_version},
                                        {"updated", base::iso_text(updated)},
                                        {"updatedBy", updated_by},
                                        {"entries", std::move(entries)}});
}

base::result<std::vector<group_definition>> parse_config(std::string_view text) {
    const auto parsed = base::parse_json(text);
    const json::object* object = parsed ? parsed->if_object() : nullptr;
    const json::value* entries = object == nullptr ? nullptr : object->if_contains("entries");
    if (entries == nullptr || !entries->is_array()) {
        return base::fail(base::errc::corrupt,
                          "The last event of $persistentSubscriptionConfig has no 'entries'.");
    }
    std::vector<group_definition> out;
    for (const json::value& one : entries->get_array()) {
        auto group = parse_entry(one);
        if (!group) {
            return base::fail(base::errc::corrupt,
                              fmt::format("The last event of $persistentSubscriptionConfig has an "
                                          "entry that cannot be used: number {}.",
                                          out.size()));
        }
        out.push_back(std::move(*group));
    }
    return out;
}

} // namespace immortal::esdb
