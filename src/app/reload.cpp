#include "app/reload.hpp"

#include "app/esdb_options.hpp"
#include "base/log.hpp"
#include "base/log_control.hpp"

#include <set>
#include <sstream>

namespace immortal::app {

namespace {

// Keys whose change takes effect at once.
bool is_live(std::string_view key) {
    return key == "log.level" || key == "esdb.tls_certificate" || key == "esdb.tls_key" ||
           key == "esdb.tls_client_authority";
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

reloader::reloader(const configuration& source, renewal renew)
    : source_(source), renew_(std::move(renew)), started_with_(values_of(source)) {}

void reloader::reload() {
    const auto config = load_config(source_.file, source_.flags);
    if (!config) {
        base::log_error("app", "the configuration stays as it was: it cannot be read again",
                        {{"why", config.error().message}});
        return;
    }
    const settings fresh = read_settings(*config);
    base::set_log_level(fresh.log_level);
    if (renew_) {
        auto options = esdb_options(fresh);
        base::status renewed;
        if (!options) {
            renewed = base::fail(options.error());
        } else if (!options->server.tls) {
            renewed =
                base::fail(base::errc::invalid_argument,
                           "The configuration names none; TLS ends with the next start only.");
        } else {
            renewed = renew_(std::move(*options->server.tls));
        }
        if (!renewed) {
            base::log_error("app", "the certificates stay as they were",
                            {{"why", renewed.error().message}});
        }
    }
    report_waiting(*config);
    base::log_info("app", "the configuration was read again");
}

void reloader::report_waiting(const base::config& fresh) {
    const auto before = lines_of(started_with_);
    std::string names;
    for (const std::string& line : lines_of(fresh.describe())) {
        const std::string key = line.substr(0, line.find(' '));
        if (!before.contains(line) && !is_live(key)) {
            names += (names.empty() ? "" : ", ") + key;
        }
    }
    if (!names.empty()) {
        base::log_warning("app", "changed settings take effect at the next start",
                          {{"keys", names}});
    }
}

} // namespace immortal::app
