#include "postgres/sqlstate.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace immortal::postgres {

namespace {

using base::errc;

struct mapping {
    std::string_view prefix; // of the SQLSTATE; the first match counts
    errc code;
    std::string_view message;
    std::string_view reason = {}; // empty: the constraint's name
};

constexpr std::array mappings{
    mapping{"23505", errc::already_exists, "such an entry exists already"},
    mapping{"23P01", errc::already_exists, "it overlaps an existing entry"},
    mapping{"23503", errc::not_found, "an entry that this one refers to does not exist"},
    mapping{"23502", errc::invalid_argument, "a required value is missing"},
    mapping{"23514", errc::invalid_argument, "a value is outside its allowed range"},
    mapping{"22", errc::invalid_argument, "a value cannot be stored"},
    mapping{"40001", errc::conflict, "another transaction was faster; repeat this one"},
    mapping{"40P01", errc::conflict, "two transactions waited for each other; repeat this one"},
    mapping{"IM001", errc::conflict, "the lease is held by another process"},
    mapping{"57014", errc::timeout, "the database did not finish in time"},
    mapping{"55P03", errc::timeout, "a lock could not be taken in time"},
    mapping{"08", errc::unavailable, "the database cannot be reached; try again"},
    mapping{"53", errc::unavailable, "the database is short of resources; try again"},
    mapping{"57P", errc::unavailable, "the database is restarting; try again"},
    mapping{"25P03", errc::unavailable, "the transaction was idle for too long; try again"},
    mapping{"25006", errc::unavailable, "the database accepts no writes at present; try again"},
    mapping{"26000", errc::unavailable, "the database session was reset; try again"},
    mapping{"28P01", errc::unavailable, "the database refuses the log-in", wrong_password},
    mapping{"28", errc::unavailable, "the database refuses the log-in", refused_role},
    mapping{"3D", errc::unavailable, "the database does not exist", absent_database},
};

// A cached plan outlived a change of the schema: the statement works on a new session.
bool is_stale_plan(const server_error& from) noexcept {
    return from.sqlstate == "0A000" && from.message.starts_with("cached plan");
}

// A right, or the schema itself where the role may see none.
bool is_missing_right(const server_error& from) noexcept {
    return from.sqlstate == "42501" || from.sqlstate == "3F000";
}

// "FATAL:  3D000: the text" (libpq's verbose form; the first word may be translated).
std::string last_sqlstate(std::string_view text) {
    constexpr std::size_t size = 5;
    const auto is_state = [](std::string_view word) {
        return word.size() == size + 2 && word.ends_with(": ") &&
               std::ranges::all_of(word.substr(0, size), [](char c) {
                   return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
               });
    };
    std::string out;
    for (auto place = text.find(":  "); place != std::string_view::npos;
         place = text.find(":  ", place + 1)) {
        if (const auto word = text.substr(place + 3, size + 2); is_state(word)) {
            out = word.substr(0, size);
        }
    }
    return out;
}

} // namespace

base::error refusal_of_session(std::string_view text) {
    const std::string state = last_sqlstate(text);
    if (state == "42501") { // no right to connect to that database
        return to_error({"28000", {}, {}, true});
    }
    if (!state.empty()) {
        if (base::error told = to_error({state, {}, {}, true}); told.code == errc::unavailable) {
            return told;
        }
    }
    return {errc::unavailable, "the database cannot be reached; try again"};
}

base::error to_error(const server_error& from) {
    if (from.sqlstate.empty()) {
        return {errc::unavailable, "the connection to the database was lost; try again"};
    }
    if (is_stale_plan(from)) {
        return {errc::unavailable, "the database schema has just changed; try again"};
    }
    if (is_missing_right(from)) {
        return {errc::unavailable, "the database role lacks a right that the server needs",
                std::string(missing_right)};
    }
    for (const auto& entry : mappings) {
        if (std::string_view(from.sqlstate).starts_with(entry.prefix)) {
            return {entry.code, std::string(entry.message),
                    entry.reason.empty() ? from.constraint : std::string(entry.reason)};
        }
    }
    return {errc::internal, "the database refused a statement; the server's log says why"};
}

bool spoils_connection(const server_error& from) noexcept {
    return from.fatal || is_stale_plan(from) || from.sqlstate == "26000" ||
           from.sqlstate == "25006" || from.sqlstate.empty();
}

} // namespace immortal::postgres
