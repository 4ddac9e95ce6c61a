#include "app/reload.hpp"

#include "app/esdb_options.hpp"
#include "base/log.hpp"
#include "base/log_control.hpp"

#include <chrono>
#include <exception>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace immortal::app {

namespace {

// Keys whose change takes effect at once; `renews`: certificates are in use and were renewed.
bool is_live(std::string_view key, bool renews) {
    return key == "log.level" ||
           (renews && (key == "esdb.tls_certificate" || key == "esdb.tls_key" ||
                       key == "esdb.tls_client_authority"));
}

std::set<std::string> lines_of(const std::string& text) {
    std::set<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        out.insert(line.substr(0, line.find("  # "))); // without the place it comes from
    }
    return out;
}

std::string values_of(const configuration& source) {
    const auto config = load_config(source.file, source.flags);
    return config ? config->describe() : std::string();
}

} // namespace

reloader::reloader(const configuration& source, server_kind kind)
    : source_(source), kind_(kind), started_with_(values_of(source)) {}

base::result<reloader::reading> reloader::read(const configuration& source, server_kind kind) {
    auto config = load_config(source.file, source.flags);
    if (!config) {
        return base::fail(config.error().code,
                          "It cannot be read again: " + config.error().message);
    }
    const settings fresh = read_settings(*config);
    if (auto usable = check_settings(fresh, kind); !usable) {
        return base::fail(usable.error().code,
                          "A start would refuse it: " + usable.error().message);
    }
    reading out{.config = std::move(*config), .fresh = fresh, .tls = std::nullopt};
    if (serves_protocol(fresh, kind)) {
        auto options = esdb_options(fresh);
        if (!options) { // changed since it was checked
            return base::fail(options.error());
        }
        out.tls = std::move(options->server.tls);
    }
    return out;
}

void reloader::request() {
    requested_ = true;
    (void)advance();
}

void reloader::begin() {
    requested_ = false;
    // Copies: the thread may outlive everything here.
    std::packaged_task<base::result<reading>()> task(
        [source = source_, kind = kind_] { return read(source, kind); });
    reading_ = task.get_future();
    try {
        // A file system that does not answer must not keep the server from its end.
        // tidy-allow(banned): nothing can end it; abandon_reading() takes its place.
        std::thread(std::move(task)).detach();
    } catch (const std::system_error& refused) {
        reading_ = {};
        base::log_error("app", "the configuration stays as it was: no thread to read it",
                        {{"why", refused.code().message()}});
    }
}

bool reloader::advance() {
    if (reading_.valid() &&
        reading_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
        try {
            apply(reading_.get());
        } catch (const std::exception& failure) {
            base::log_error("app", "the configuration stays as it was: it cannot be read again",
                            {{"why", failure.what()}});
        }
    }
    if (requested_ && !reading_.valid()) {
        begin();
    }
    return reading_.valid();
}

void reloader::abandon_reading(int code) const {
    if (reading_.valid() &&
        reading_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
        base::log_warning("app", "the configuration was still being read again");
        _exit(code);
    }
}

void reloader::apply(base::result<reading> done) {
    if (!done) {
        base::log_error("app", "the configuration stays as it was",
                        {{"why", done.error().message}});
        return;
    }
    // Whether there is TLS at all is settled at the start.
    const bool renews = renew_ && done->tls;
    if (renews) {
        if (auto renewed = renew_(std::move(*done->tls)); !renewed) {
            base::log_error("app", "the configuration stays as it was, and so do the certificates",
                            {{"why", renewed.error().message}});
            return;
        }
    }
    base::set_log_level(done->fresh.log_level);
    report_waiting(done->config, renews);
    base::log_info("app", "the configuration was read again");
}

void reloader::report_waiting(const base::config& fresh, bool renews) {
    const auto before = lines_of(started_with_);
    std::string names;
    for (const std::string& line : lines_of(fresh.describe())) {
        const std::string key = line.substr(0, line.find(' '));
        if (!before.contains(line) && !is_live(key, renews)) {
            names += (names.empty() ? "" : ", ") + key;
        }
    }
    if (!names.empty()) {
        base::log_warning("app", "changed settings take effect at the next start",
                          {{"keys", names}});
    }
}

} // namespace immortal::app
