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

// Parameter values $1, $2, ... in order. Every add() returns *this.
class arguments {
public:
    arguments& add(std::string_view text);
    arguments& add(const char* text) { return add(std::string_view(text)); }
    arguments& add(const std::string& text) { return add(std::string_view(text)); }
    arguments& add(std::int64_t number);
    arguments& add(std::int32_t number) { return add(static_cast<std::int64_t>(number)); }
    arguments& add(double number);
    arguments& add(bool flag);
    arguments& add(const base::uuid& id);
    arguments& add(base::utc_time time);
    arguments& add(base::position place) { return add(static_cast<std::int64_t>(place.value)); }
    arguments& add_null();
    template <typename T>
    arguments& add(const std::optional<T>& value) {
        return value ? add(*value) : add_null();
    }
    // One array parameter; T is any type above, or an optional of it (NULL elements). Cast it in
    // the statement: $1::uuid[].
    template <typename T>
    arguments& add_array(std::span<const T> values);
    template <typename T>
    arguments& add_array(const std::vector<T>& values) {
        return add_array(std::span<const T>(values));
    }

    [[nodiscard]] std::span<const std::optional<std::string>> values() const noexcept {
        return values_;
    }

private:
    void begin_array() { array_ = "{"; }
    void end_array();
    template <typename T>
    void append_element(const T& value);
    void append_quoted(std::string_view text);

    std::vector<std::optional<std::string>> values_;
    std::string array_;
};

struct query {
    sql_text text;
    arguments values = {};
};

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
    // base::position, or std::optional of one. A value that is not a T is a defect of the
    // statement: an exception.
    template <typename T>
    [[nodiscard]] T get(std::size_t row, std::size_t column) const;

private:
    std::shared_ptr<const data> data_;
};

struct settings {
    std::string uri; // libpq connection string or URI
    std::size_t connections_max = 8;
    milliseconds connect_timeout{2000};
    milliseconds statement_timeout{
        5000}; // also set on the server, so an abandoned statement ends there too
    std::size_t waiting_max = 1024; // callers queued for a connection; more get errc::exhausted
};

// An interactive transaction; rolled back if destroyed without commit(). One coroutine at a time.
class transaction {
public:
    virtual ~transaction() = default;
    virtual awaitable<base::result<rows>> run(query q) = 0;
    virtual awaitable<base::result<std::vector<rows>>>
    run_all(std::vector<query> queries) = 0; // one round trip
    virtual awaitable<base::status> commit() = 0;
};

// A pool. Start-up does not need the server: connections are made when needed, and lost ones are
// replaced. Thread-safe; work runs on `executor`.
//
// Errors, mapped from SQLSTATE in one place: already_exists (23505; `reason` is the constraint's
// name), conflict (40001, 40P01, and IM001, which our own SQL functions raise for a lost fence),
// invalid_argument (22xxx, 23514), unavailable (no connection; nothing was done), unknown_outcome
// (the connection was lost after COMMIT was sent), timeout, internal (anything else; the log has
// the text).
class database {
public:
    virtual ~database() = default;

    virtual awaitable<base::result<rows>> run(query q) = 0; // its own transaction
    // BEGIN, all statements, COMMIT in one round trip; all or nothing.
    virtual awaitable<base::result<std::vector<rows>>> run_all(std::vector<query> queries) = 0;
    virtual awaitable<base::result<std::unique_ptr<transaction>>> begin() = 0;

    [[nodiscard]] virtual bool
    available() const = 0;              // the last attempt to reach the server succeeded
    virtual awaitable<void> stop() = 0; // refuses new work, ends running statements, closes
};

[[nodiscard]] std::unique_ptr<database> make_database(boost::asio::any_io_executor executor,
                                                      settings settings, base::metrics& metrics);

// LISTEN on `channel` with an own connection; re-connects by itself. next() gives each payload; an
// empty optional means "connection was lost in between: anything may have been missed".
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
    std::uint32_t number;
    std::string_view name;
    std::string_view text;
};
// Brings the schema up to date under an advisory lock, each migration in one transaction with its
// row in `schema_migrations` (number, name, digest, applied_at). Refuses (errc::mismatch, naming
// the file) when an applied one is missing here or its text has changed.
awaitable<base::status> migrate(database& target, std::span<const migration> migrations);

} // namespace immortal::postgres
