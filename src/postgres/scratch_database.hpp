// For tests: an empty database of its own on the server of IMMORTAL_TEST_POSTGRES, dropped at the
// end, and the means to do there what the driver refuses to do.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace immortal::postgres {

class scratch_database {
public:
    scratch_database() : name_(next_name()) { execute(server_uri(), "CREATE DATABASE " + name_); }
    ~scratch_database() {
        try {
            execute(server_uri(), "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
        } catch (const std::exception&) { // a server that the test stopped
        }
    }
    scratch_database(const scratch_database&) = delete;
    scratch_database& operator=(const scratch_database&) = delete;

    // libpq's connection string of this database.
    [[nodiscard]] std::string uri() const { return with_name(name_); }

    // Runs any SQL with an own connection; the first value of the first row, or "".
    std::string execute(const std::string& sql) const { return execute(uri(), sql); }

private:
    static std::string server_uri() {
        const char* uri = std::getenv("IMMORTAL_TEST_POSTGRES");
        if (uri == nullptr) {
            throw std::runtime_error("IMMORTAL_TEST_POSTGRES is not set: run the test through "
                                     "tests/with_services postgres -- ...");
        }
        return uri;
    }

    static std::string next_name() {
        static std::atomic<int> count{0};
        return "scratch_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    }

    static std::string with_name(const std::string& name) {
        PQconninfoOption* options = PQconninfoParse(server_uri().c_str(), nullptr);
        std::string out = "dbname='" + name + "'";
        for (auto* o = options; o != nullptr && o->keyword != nullptr; ++o) {
            if (o->val != nullptr && std::string(o->keyword) != "dbname") {
                out += std::string(" ") + o->keyword + "='" + o->val + "'";
            }
        }
        PQconninfoFree(options);
        return out;
    }

    static std::string execute(const std::string& uri, const std::string& sql) {
        PGconn* session = PQconnectdb(uri.c_str());
        PGresult* result = PQexec(session, sql.c_str());
        const auto status = PQresultStatus(result);
        const bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        const std::string problem = ok ? "" : PQerrorMessage(session);
        std::string value = ok && PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
        PQclear(result);
        PQfinish(session);
        if (!ok) {
            throw std::runtime_error(sql + ": " + problem);
        }
        return value;
    }

    std::string name_;
};

} // namespace immortal::postgres
