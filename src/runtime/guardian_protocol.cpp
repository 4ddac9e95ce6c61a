#include "runtime/guardian_protocol.hpp"

#include <cstring>
#include <type_traits>

namespace immortal::runtime::guardian_protocol {

namespace {

class writer {
public:
    template <typename T>
        requires std::is_unsigned_v<T>
    void number(T value) {
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        out.append(bytes, sizeof value);
    }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        out.append(value);
    }
    void list(const std::vector<std::string>& values) {
        number(static_cast<std::uint32_t>(values.size()));
        for (const std::string& value : values) {
            text(value);
        }
    }
    std::string out;
};

class reader {
public:
    explicit reader(std::string_view bytes) : rest_(bytes) {}

    template <typename T>
        requires std::is_unsigned_v<T>
    T number() {
        T value{};
        if (rest_.size() < sizeof value) {
            good_ = false;
            return value;
        }
        std::memcpy(&value, rest_.data(), sizeof value);
        rest_.remove_prefix(sizeof value);
        return value;
    }
    std::string text() {
        const auto size = number<std::uint32_t>();
        if (rest_.size() < size) {
            good_ = false;
            return {};
        }
        std::string value(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return value;
    }
    std::vector<std::string> list() {
        std::vector<std::string> values;
        for (auto count = number<std::uint32_t>(); count > 0 && good_; --count) {
            values.push_back(text());
        }
        return values;
    }
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool finished() const { return good_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

void write_spec(writer& w, const process_spec& spec) {
    w.text(spec.program);
    w.text(spec.working_folder);
    w.text(spec.log_file);
    const account who = spec.run_as.value_or(account{});
    w.number<std::uint32_t>(spec.run_as ? 1 : 0);
    w.number<std::uint32_t>(who.uid);
    w.number<std::uint32_t>(who.gid);
    w.text(who.name);
    w.list(spec.arguments);
    w.list(spec.environment);
    w.number(static_cast<std::uint32_t>(spec.stop_plan.size()));
    for (const stop_step& step : spec.stop_plan) {
        w.number(static_cast<std::uint32_t>(step.signal));
        w.number(static_cast<std::uint32_t>(step.grace.count()));
    }
}

process_spec read_spec(reader& r) {
    process_spec spec;
    spec.program = r.text();
    spec.working_folder = r.text();
    spec.log_file = r.text();
    const bool has_account = r.number<std::uint32_t>() != 0;
    account who;
    who.uid = r.number<std::uint32_t>();
    who.gid = r.number<std::uint32_t>();
    who.name = r.text();
    if (has_account) {
        spec.run_as = who;
    }
    spec.arguments = r.list();
    spec.environment = r.list();
    spec.stop_plan.clear();
    for (auto count = r.number<std::uint32_t>(); count > 0 && r.good(); --count) {
        stop_step step;
        step.signal = static_cast<int>(r.number<std::uint32_t>());
        step.grace = std::chrono::milliseconds(r.number<std::uint32_t>());
        spec.stop_plan.push_back(step);
    }
    return spec;
}

} // namespace

std::string encode(const request& in) {
    writer w;
    w.number(static_cast<std::uint32_t>(in.kind));
    w.number(in.id);
    w.number(in.signal);
    w.number(in.deadline_ns);
    if (in.kind == request_kind::spawn) {
        write_spec(w, in.spec);
    }
    return std::move(w.out);
}

std::string encode(const reply& in) {
    writer w;
    w.number(static_cast<std::uint32_t>(in.kind));
    w.number(in.id);
    w.number(in.pid);
    w.number(in.value);
    w.text(in.text);
    return std::move(w.out);
}

std::optional<request> decode_request(std::string_view bytes) {
    reader r(bytes);
    request out;
    out.kind = static_cast<request_kind>(r.number<std::uint32_t>());
    out.id = r.number<std::uint64_t>();
    out.signal = r.number<std::uint32_t>();
    out.deadline_ns = r.number<std::uint64_t>();
    if (out.kind == request_kind::spawn) {
        out.spec = read_spec(r);
    }
    const bool known = out.kind >= request_kind::spawn && out.kind <= request_kind::limit;
    return r.finished() && known ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<reply> decode_reply(std::string_view bytes) {
    reader r(bytes);
    reply out;
    out.kind = static_cast<reply_kind>(r.number<std::uint32_t>());
    out.id = r.number<std::uint64_t>();
    out.pid = r.number<std::uint32_t>();
    out.value = r.number<std::uint32_t>();
    out.text = r.text();
    const bool known = out.kind >= reply_kind::spawned && out.kind <= reply_kind::pong;
    return r.finished() && known ? std::optional(std::move(out)) : std::nullopt;
}

} // namespace immortal::runtime::guardian_protocol
