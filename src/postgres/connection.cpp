#include "postgres/connection.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "postgres/rows_data.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace immortal::postgres {

namespace asio = boost::asio;
using base::errc;
using base::fail;

namespace {

constexpr std::size_t prepared_max =
    1000; // per connection; literals beyond it are parsed each time

server_error error_of(const PGresult* result) {
    const auto field = [result](int code) {
        const char* text = PQresultErrorField(result, code);
        return std::string(text == nullptr ? "" : text);
    };
    const std::string severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
    server_error out{field(PG_DIAG_SQLSTATE), field(PG_DIAG_CONSTRAINT_NAME),
                     field(PG_DIAG_MESSAGE_PRIMARY), severity == "FATAL" || severity == "PANIC"};
    if (out.message.empty()) {
        out.message = PQresultErrorMessage(result);
    }
    return out;
}

bool is_copy(const PGresult* result) {
    const auto status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

void note(void* /*context*/, const PGresult* result) {
    const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    base::log_debug("postgres", "notice", {{"text", text == nullptr ? "" : text}});
}

} // namespace

// Queued statements and how far their answers have come.
struct connection::pending {
    struct part {
        const char* prepares; // the literal this part prepares; null: it runs a statement
        bool confirmed = false;
    };
    std::vector<part> parts;
    std::size_t at = 0;    // the part whose answer comes next
    bool answered = false; // part `at` has given a result
};

connection::connection(strand executor, const settings& options)
    : options_(options), strand_(executor), socket_(executor), wake_(executor) {}

connection::~connection() {
    close();
}

void connection::close() {
    detach();
    if (session_ != nullptr) {
        PQfinish(session_);
        session_ = nullptr;
    }
}

void connection::abort() {
    aborted_ = true;
    wake_.cancel();
}

bool connection::attach() {
    detach();
    const int own = ::fcntl(PQsocket(session_), F_DUPFD_CLOEXEC, 0);
    boost::system::error_code code;
    if (own >= 0) {
        socket_.assign(own, code);
    }
    if (code) {
        ::close(own);
    }
    return own >= 0 && !code;
}

void connection::detach() {
    if (socket_.is_open()) {
        ::close(socket_.release());
    }
}

bool connection::start(const settings& options) {
    const std::array<const char*, 8> names{"dbname",
                                           "client_encoding",
                                           "fallback_application_name",
                                           "keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "tcp_user_timeout",
                                           nullptr};
    const std::array<const char*, 8> values{
        options.uri.c_str(), "UTF8", "immortal", "30", "10", "3", "30000", nullptr};
    session_ = PQconnectStartParams(names.data(), values.data(), 1);
    if (session_ == nullptr || PQstatus(session_) == CONNECTION_BAD) {
        return false;
    }
    PQsetErrorVerbosity(session_, PQERRORS_VERBOSE); // libpq tells the SQLSTATE in no other way
    return true;
}

awaitable<base::status> connection::fail_open(std::string_view why) {
    const std::string text =
        session_ != nullptr && PQstatus(session_) == CONNECTION_BAD ? PQerrorMessage(session_) : "";
    base::log_warning("postgres", "cannot connect", {{"why", why}, {"text", text}});
    close();
    co_return fail(refusal_of_session(text));
}

awaitable<base::status> connection::handshake(base::steady_time deadline) {
    auto state = PGRES_POLLING_WRITING; // as libpq asks before the first poll
    while (state != PGRES_POLLING_OK) {
        // libpq may have closed the socket and opened another between two polls.
        if (state == PGRES_POLLING_FAILED || !attach()) {
            co_return co_await fail_open("refused");
        }
        if (!co_await wait(state == PGRES_POLLING_READING, state == PGRES_POLLING_WRITING,
                           deadline)) {
            co_return co_await fail_open("no answer in time");
        }
        detach();
        state = PQconnectPoll(session_);
    }
    PQsetErrorVerbosity(session_, PQERRORS_DEFAULT);
    co_return attach() ? base::status{} : co_await fail_open("no socket");
}

awaitable<base::status> connection::open() {
    const auto deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
    if (!start(options_)) {
        co_return co_await fail_open("refused");
    }
    PQsetNoticeReceiver(session_, note, nullptr);
    if (auto done = co_await handshake(deadline); !done) {
        co_return done;
    }
    if (PQsetnonblocking(session_, 1) != 0 || PQenterPipelineMode(session_) != 1) {
        co_return co_await fail_open("no pipeline mode");
    }
    arguments values;
    values.add(options_.statement_timeout.count());
    std::vector<statement> list;
    list.push_back({"SELECT set_config('statement_timeout', $1, false),"
                    " set_config('idle_in_transaction_session_timeout', '60000', false),"
                    " set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false)",
                    &values});
    const execution set = co_await execute(std::move(list), deadline);
    if (!set.ok()) {
        co_return co_await fail_open("session settings were refused");
    }
    co_return base::status{};
}

bool connection::usable() {
    if (session_ == nullptr || aborted_ || PQstatus(session_) != CONNECTION_OK) {
        return false;
    }
    // Nobody asked, so what came is most likely the end of the session.
    pollfd probe{PQsocket(session_), POLLIN, 0};
    return ::poll(&probe, 1, 0) == 0;
}

std::string connection::quoted(const std::string& identifier) const {
    char* text = PQescapeIdentifier(session_, identifier.data(), identifier.size());
    std::string out(text == nullptr ? "" : text);
    PQfreemem(text);
    return out;
}

awaitable<bool> connection::wait(bool readable, bool writable, base::steady_time deadline) {
    // One waiting operation per direction at most; it may outlast this wait and serve a later one.
    const auto watch = [this](bool& pending, asio::posix::descriptor_base::wait_type type) {
        if (pending) {
            return;
        }
        pending = true;
        socket_.async_wait(type, asio::bind_executor(strand_, [self = shared_from_this(), &pending](
                                                                  boost::system::error_code) {
                               pending = false;
                               self->ready_ = true;
                               self->wake_.cancel();
                           }));
    };
    ready_ = false;
    if (readable) {
        watch(read_pending_, asio::posix::descriptor_base::wait_read);
    }
    if (writable) {
        watch(write_pending_, asio::posix::descriptor_base::wait_write);
    }
    wake_.expires_at(deadline);
    boost::system::error_code ignored;
    if (!aborted_) {
        co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return ready_ && !aborted_;
}

bool connection::enqueue(const statement& item, pending& plan) {
    auto known = prepared_.find(item.text);
    const bool prepares = known == prepared_.end();
    if (prepares) {
        known = prepared_.emplace(item.text, "s" + std::to_string(++prepared_count_)).first;
        if (PQsendPrepare(session_, known->second.c_str(), item.text, 0, nullptr) != 1) {
            return false;
        }
        plan.parts.push_back({item.text});
    }
    std::vector<const char*> values;
    if (item.values != nullptr) {
        values.reserve(item.values->values().size());
        for (const auto& value : item.values->values()) {
            values.push_back(value ? value->c_str() : nullptr);
        }
    }
    plan.parts.push_back({nullptr});
    return PQsendQueryPrepared(session_, known->second.c_str(), static_cast<int>(values.size()),
                               values.data(), nullptr, nullptr, 0) == 1;
}

void connection::forget_unconfirmed(const pending& plan) {
    for (const auto& part : plan.parts) {
        if (part.prepares != nullptr && !part.confirmed) {
            prepared_.erase(part.prepares);
        }
    }
}

awaitable<execution> connection::execute(std::vector<statement> list, base::steady_time deadline) {
    execution out;
    pending plan;
    if (prepared_.size() + list.size() > prepared_max) {
        out.lost = true; // a defect: literals are finite; start again with a fresh session
        co_return out;
    }
    for (const auto& item : list) {
        if (!enqueue(item, plan)) {
            out.lost = true;
            co_return out;
        }
    }
    if (PQpipelineSync(session_) != 1) {
        out.lost = true;
        co_return out;
    }
    out.sent = true;
    co_await drive(plan, out, deadline);
    forget_unconfirmed(plan);
    co_return out;
}

awaitable<execution> connection::execute_once(std::string text, base::steady_time deadline) {
    execution out;
    pending plan;
    plan.parts.push_back({nullptr});
    if (PQsendQueryParams(session_, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) != 1 ||
        PQpipelineSync(session_) != 1) {
        out.lost = true;
        co_return out;
    }
    out.sent = true;
    co_await drive(plan, out, deadline);
    co_return out;
}

awaitable<void> connection::drive(pending& plan, execution& out, base::steady_time deadline) {
    for (;;) {
        const int unsent = PQflush(session_); // a failed write shows below, as a failed read
        if (!co_await wait(true, unsent == 1, deadline)) {
            out.timed_out = !aborted_;
            out.lost = true;
            aborted_ = true;
            co_return;
        }
        const bool alive = PQconsumeInput(session_) == 1;
        switch (drain(plan, out)) {
        case progress::done:
            co_return;
        case progress::lost:
            out.lost = true;
            co_return;
        case progress::busy:
            if (!alive) {
                out.lost = true;
                co_return;
            }
        }
    }
}

// Reads every answer that has arrived.
connection::progress connection::drain(pending& plan, execution& out) {
    while (PQisBusy(session_) == 0) {
        result_handle result(PQgetResult(session_));
        if (PQstatus(session_) == CONNECTION_BAD) {
            if (result && !out.error) {
                out.error = error_of(result.get());
            }
            return progress::lost;
        }
        if (!result) { // the end of one part's answer
            if (!plan.answered) {
                return progress::lost; // libpq has nothing more to say before the Sync
            }
            plan.answered = false;
            ++plan.at;
            continue;
        }
        if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
            return progress::done;
        }
        if (is_copy(result.get())) { // this driver does not speak COPY, and libpq waits for it
            out.error = server_error{"0A000", "", "COPY is not supported", false};
            return progress::lost;
        }
        take(result.release(), plan, out);
    }
    return progress::busy;
}

void connection::take(PGresult* raw, pending& plan, execution& out) {
    result_handle result(raw);
    plan.answered = true;
    switch (PQresultStatus(result.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        if (plan.at < plan.parts.size() && plan.parts[plan.at].prepares != nullptr) {
            plan.parts[plan.at].confirmed = true;
        } else if (!out.error) {
            auto owned = std::make_shared<rows::data>();
            owned->result = std::move(result);
            out.results.emplace_back(std::move(owned));
        }
        return;
    case PGRES_PIPELINE_ABORTED:
        return; // after an error everything up to the Sync is skipped
    default:
        if (!out.error) {
            out.error = error_of(result.get());
        }
    }
}

awaitable<std::optional<std::string>> connection::notification(base::steady_time deadline) {
    for (;;) {
        struct free_notify {
            void operator()(PGnotify* n) const noexcept { PQfreemem(n); }
        };
        const std::unique_ptr<PGnotify, free_notify> next(PQnotifies(session_));
        if (next) {
            co_return std::string(next->extra);
        }
        if (PQstatus(session_) != CONNECTION_OK || !co_await wait(true, false, deadline) ||
            PQconsumeInput(session_) != 1) {
            co_return std::nullopt;
        }
    }
}

} // namespace immortal::postgres
