// PostgreSQL through libpq's pipeline mode, on Asio.
//
// Statements are literals (`sql_text` compiles from nothing else), values are parameters: a
// run-time string cannot become SQL.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::postgres {

using boost::asio::awaitable;
using std::chrono::milliseconds;

class sql_text {
public:
    // NOLINTNEXTLINE(google-explicit-constructor): a literal is the only source.
    consteval sql_text(const char* literal) : text_(literal) {}
    [[nodiscard]] const char* c_str() const noexcept { return text_; }

private:
    const char* text_;
};

// Parameter values $1, $2, ... in order, in PostgreSQL's text format. Every add() returns *this. A
// text with a NUL byte cannot be stored by PostgreSQL: the statement is then refused with
// invalid_argument before anything is sent.
class arguments {
public:
    arguments& add(std::string_view text);
    arguments& add(const char* text) { return add(std::string_view(text)); }
    arguments& add(const std::string& text) { return add(std::string_view(text)); }
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    arguments& add(T number) { // <= 2^63 - 1
        return add_integer(static_cast<std::int64_t>(number));
    }
    arguments& add(double number);
    arguments& add(bool flag);
    arguments& add(const base::uuid& id);
    arguments& add(base::utc_time time);
    arguments& add(base::position place) { return add(place.value); }
    arguments& add(base::revision number) { return add(number.value); }
    arguments& add_null();
    template <typename T>
    arguments& add(const std::optional<T>& value) {
        return value ? add(*value) : add_null();
    }
    // One array parameter; T is any type above, or an optional of it (NULL elements). Cast it in
    // the statement: $1::uuid[]. The fast way in for many rows: INSERT ... SELECT * FROM
    // unnest($1::uuid[], $2::bigint[]).
    template <typename T>
    arguments& add_array(std::span<const T> values) {
        begin_array(values.size());
        for (const T& value : values) {
            append_element(value);
        }
        return end_array();
    }
    template <typename T>
    arguments& add_array(const std::vector<T>& values) {
        if constexpr (std::same_as<T, bool>) {
            begin_array(values.size());
            for (const bool value : values) {
                append_element(value);
            }
            return end_array();
        } else {
            return add_array(std::span<const T>(values));
        }
    }

    [[nodiscard]] std::span<const std::optional<std::string>> values() const noexcept {
        return values_;
    }
    [[nodiscard]] bool has_nul_byte() const noexcept { return has_nul_byte_; }

private:
    arguments& add_integer(std::int64_t number);
    void begin_array(std::size_t count);
    arguments& end_array();
    void append_null();
    void append_element(std::string_view text);
    void append_element(const char* text) { append_element(std::string_view(text)); }
    void append_element(const std::string& text) { append_element(std::string_view(text)); }
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    void append_element(T number) {
        append_integer(static_cast<std::int64_t>(number));
    }
    void append_integer(std::int64_t number);
    void append_element(double number);
    void append_element(bool flag);
    void append_element(const base::uuid& id);
    void append_element(base::utc_time time);
    void append_element(base::position place) { append_element(place.value); }
    void append_element(base::revision number) { append_element(number.value); }
    template <typename T>
    void append_element(const std::optional<T>& value) {
        if (value) {
            append_element(*value);
        } else {
            append_null();
        }
    }

    std::vector<std::optional<std::string>> values_;
    std::string array_;
    bool has_nul_byte_ = false;
};

struct query {
    sql_text text;
    arguments values = {};
    // Deadline of the whole call, waiting included; zero: the settings'. It acts on this side only:
    // on the server SET LOCAL statement_timeout does. Of one run_all's queries the longest counts.
    milliseconds timeout{0};
    bool reads = false; // changes nothing that outlives its transaction
};

// A query that only reads: when its answer is lost, nothing was done.
[[nodiscard]] query reading(sql_text text, arguments values = {});

// The rows of one statement; a value that outlives its connection.
class rows {
public:
    struct data; // owns the PGresult
    rows() = default;
    explicit rows(std::shared_ptr<const data> owned) : data_(std::move(owned)) {}

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t affected() const noexcept; // by INSERT, UPDATE, DELETE

    // `row` < size(), `column` within the statement's list (asserted).
    [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const;
    [[nodiscard]] std::string_view text(std::size_t row, std::size_t column) const; // "" for NULL
    // T: std::string, std::int64_t, std::int32_t, double, bool, base::uuid, base::utc_time,
    // base::position, base::revision, or std::optional of one. A value that is not a T (NULL
    // included, unless optional) is a defect of the statement: std::runtime_error.
    template <typename T>
    [[nodiscard]] T get(std::size_t row, std::size_t column) const;

private:
    std::shared_ptr<const data> data_;
};

struct settings {
    std::string uri; // libpq connection string or URI
    std::size_t connections_max = 8;
    milliseconds connect_timeout{2000};
    // Also set on the server, so an abandoned statement ends there too. The deadline on this side
    // is `reply_grace` later.
    milliseconds statement_timeout{5000};
    milliseconds reply_grace{500};
    milliseconds waiting_timeout{2000}; // the longest wait for a connection; then errc::timeout
    std::size_t waiting_max = 1024;     // callers queued for a connection; more: errc::exhausted
};

// An interactive transaction; rolled back if destroyed without commit(). One coroutine at a time.
// BEGIN travels with the first statement. After a failed statement only its error comes back from
// every further call. Idle for a minute, the server ends it.
class transaction {
public:
    virtual ~transaction() = default;
    virtual awaitable<base::result<rows>> run(query q) = 0;
    virtual awaitable<base::result<std::vector<rows>>>
    run_all(std::vector<query> queries) = 0; // one round trip
    // Call at most once. unknown_outcome: the connection was lost, or the deadline passed, after
    // COMMIT was sent (unless all statements were readings).
    virtual awaitable<base::status> commit() = 0;
};

// A pool. Start-up does not need the server: connections are made when needed, and lost ones are
// replaced; while the server cannot be reached, calls fail at once and it is tried again after 50
// ms to 1 s. Thread-safe; work runs on a strand of `executor`, callers resume on their own
// executor. A call ends by its own deadline only: cancelling the caller does not interrupt it. It
// may be destroyed at any time, also without stop(): calls under way end with an error.
//
// Errors, mapped from SQLSTATE in one place (sqlstate.cpp): already_exists (23505, 23P01; `reason`
// is the constraint's name), not_found (23503, `reason` likewise), conflict (40001, 40P01, and
// IM001, which our own SQL functions raise for a lost fence), invalid_argument (22xxx, 23502,
// 23514), unavailable (no connection, or lost before COMMIT: nothing was done; reasons: see
// sqlstate.hpp), unknown_outcome (lost, or the deadline passed, after COMMIT was sent, for run()
// after the statement was; never of readings alone), timeout (nothing was done), exhausted,
// cancelled (stopped), internal (anything else; the log has the text).
class database {
public:
    virtual ~database() = default;

    virtual awaitable<base::result<rows>> run(query q) = 0; // its own transaction
    // BEGIN, all statements, COMMIT in one round trip; all or nothing.
    virtual awaitable<base::result<std::vector<rows>>> run_all(std::vector<query> queries) = 0;
    // Takes a connection until the transaction is destroyed.
    virtual awaitable<base::result<std::unique_ptr<transaction>>> begin() = 0;

    // Whether the newest sign of the server is an answer, and no failure to connect; first false.
    [[nodiscard]] virtual bool available() const = 0;
    // Refuses new work, gives running calls a second, then ends them, closes all connections.
    virtual awaitable<void> stop() = 0;
};

// `metrics` outlives the database.
[[nodiscard]] std::unique_ptr<database> make_database(boost::asio::any_io_executor executor,
                                                      settings settings, base::metrics& metrics);

// LISTEN on `channel` with an own connection; re-connects by itself (50 ms to 1 s). next() gives
// each payload; an empty optional means "listening from now on: anything may have been missed
// before", and comes after every connect, the first included. One next() at a time. The connection
// is read only inside next(); its only error is cancelled. cancel() is thread-safe.
class listener {
public:
    virtual ~listener() = default;
    virtual awaitable<base::result<std::optional<std::string>>> next() = 0;
    virtual void cancel() = 0;
};
[[nodiscard]] std::unique_ptr<listener> make_listener(boost::asio::any_io_executor executor,
                                                      settings settings, std::string channel);

// A numbered SQL file built into the program (sql/0001_name.sql).
struct migration {
    std::uint32_t number;  // ascending from 1, gaps allowed
    std::string_view name; // of the file, as messages show it: "0001_name.sql"
    std::string_view text;
};
// Brings the schema up to date under an advisory lock, each migration in one transaction with its
// row in `schema_migrations` (number, name, digest, applied_at). A migration may hold many
// statements, but no transaction control. Refuses (errc::mismatch, naming the file) when an applied
// one is missing here or its text has changed; invalid_argument when the numbers do not ascend;
// internal, naming the file, when one fails (the log says why); it leaves no trace then.
// `migrations` outlives the call.
awaitable<base::status> migrate(database& target, std::span<const migration> migrations);

} // namespace immortal::postgres
