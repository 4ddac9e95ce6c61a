#include "real/history.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace immortal::faults {
namespace {

using eventlog::expected_revision;

// Names and data of these histories need no escapes; the store's own events are told without data.
std::string expected_text(const expected_revision& expected) {
    switch (expected.what) {
    case expected_revision::kind::any:
        return "\"any\"";
    case expected_revision::kind::no_stream:
        return "\"none\"";
    case expected_revision::kind::stream_exists:
        return "\"exists\"";
    case expected_revision::kind::exact:
    case expected_revision::kind::soft_deleted: // not drawn by these histories
    case expected_revision::kind::tombstoned:
        break;
    }
    return std::to_string(expected.exact.value);
}

std::string events_text(std::span<const eventlog::recorded_event> events) {
    std::string out = "[";
    for (const auto& event : events) {
        out +=
            fmt::format(R"({}[{},"{}",{},"{}","{}",{}])", out.size() > 1 ? "," : "",
                        event.position.value, event.stream, event.revision.value, event.id.text(),
                        event.stream.front() == '$' ? "" : event.data, event.last_in_batch);
    }
    return out + "]";
}

// Without its history a run proves nothing.
[[noreturn]] void give_up(const char* action) {
    fmt::print(stderr, "the history cannot be {}: {}\n", action,
               std::generic_category().message(errno));
    std::abort();
}

} // namespace

history::history(const std::string& path)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fd_ < 0) {
        give_up("opened");
    }
}

history::~history() {
    ::close(fd_);
}

void history::write(std::string line) {
    line += '\n';
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        give_up("written");
    }
}

void history::boot() {
    write(R"({"t":"boot"})");
}

void history::append_begins(std::uint64_t op, std::uint64_t retry_of,
                            std::span<const eventlog::stream_write> writes) {
    std::string text;
    for (const auto& write : writes) {
        std::string events;
        for (const auto& event : write.events) {
            events += fmt::format(R"({}{{"id":"{}","data":"{}"}})", events.empty() ? "" : ",",
                                  event.id.text(), event.data);
        }
        text += fmt::format(R"({}{{"stream":"{}","expected":{},"events":[{}]}})",
                            text.empty() ? "" : ",", write.stream, expected_text(write.expected),
                            events);
    }
    write(fmt::format(R"({{"t":"invoke","op":{},"kind":"append"{},"writes":[{}]}})", op,
                      retry_of == op ? "" : fmt::format(R"(,"retry_of":{})", retry_of), text));
}

void history::append_ends(std::uint64_t op, const eventlog::append_outcome& outcome) {
    std::string revisions;
    for (const auto& each : outcome.last_revisions) {
        revisions += (revisions.empty() ? "" : ",") + (each ? std::to_string(each->value) : "null");
    }
    write(fmt::format(R"({{"t":"ok","op":{},"position":{},"revisions":[{}],"repeated":{}}})", op,
                      outcome.position.value, revisions, outcome.repeated));
}

void history::delete_begins(std::uint64_t op, const eventlog::stream_write& write) {
    const bool soft = write.what == eventlog::stream_write::action::soft_delete;
    this->write(fmt::format(R"({{"t":"invoke","op":{},"kind":"{}","stream":"{}"}})", op,
                            soft ? "soft_delete" : "tombstone", write.stream));
}

void history::delete_ends(std::uint64_t op, base::revision first_readable) {
    write(fmt::format(R"({{"t":"ok","op":{},"first_readable":{}}})", op, first_readable.value));
}

void history::refused(std::uint64_t op) {
    write(fmt::format(R"({{"t":"fail","op":{}}})", op));
}

void history::unknown(std::uint64_t op) {
    write(fmt::format(R"({{"t":"unknown","op":{}}})", op));
}

void history::read_begins(std::uint64_t op, const std::string& stream) {
    write(stream.empty()
              ? fmt::format(R"({{"t":"invoke","op":{},"kind":"read_all","from":0}})", op)
              : fmt::format(R"({{"t":"invoke","op":{},"kind":"read_stream","stream":"{}"}})", op,
                            stream));
}

void history::read_ends(std::uint64_t op, std::span<const eventlog::recorded_event> events) {
    write(fmt::format(R"({{"t":"ok","op":{},"end":true,"events":{}}})", op, events_text(events)));
}

void history::subscribed(std::uint64_t sub, std::int64_t after, const std::string& resumes,
                         const std::string& stream) {
    write(fmt::format(R"({{"t":"subscribe","sub":{},"after":{}{}{}}})", sub, after,
                      resumes.empty() ? "" : ",\"resumes\":" + resumes,
                      stream.empty() ? "" : ",\"stream\":\"" + stream + "\""));
}

void history::caught_up(std::uint64_t sub) {
    write(fmt::format(R"({{"t":"caught_up","sub":{}}})", sub));
}

void history::progress(std::uint64_t sub, base::position position) {
    write(fmt::format(R"({{"t":"progress","sub":{},"position":{}}})", sub, position.value));
}

void history::delivered(std::uint64_t sub, std::span<const eventlog::recorded_event> events) {
    write(fmt::format(R"({{"t":"deliver","sub":{},"events":{},"whole":{}}})", sub,
                      events_text(events), events.back().last_in_batch));
}

} // namespace immortal::faults
