#include "app/reload.hpp"

#include "app/esdb_options.hpp"
#include "base/log.hpp"
#include "base/log_control.hpp"

#include <set>
#include <sstream>

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

reloader::reloader(const configuration& source, server_kind kind, renewal renew)
    : source_(source), kind_(kind), renew_(std::move(renew)), started_with_(values_of(source)) {}

void reloader::reload() {
    const auto config = load_config(source_.file, source_.flags);
    if (!config) {
        base::log_error("app", "the configuration stays as it was: it cannot be read again",
                        {{"why", config.error().message}});
        return;
    }
    const settings fresh = read_settings(*config);
    if (auto usable = check_settings(fresh, kind_); !usable) {
        base::log_error("app", "the configuration stays as it was: a start would refuse it",
                        {{"why", usable.error().message}});
        return;
    }
    // Whether there is TLS at all is settled at the start.
    const bool renews = renew_ && !fresh.esdb.tls_certificate.empty();
    if (renews) {
        auto options = esdb_options(fresh);
        const auto renewed =
            options ? renew_(std::move(*options->server.tls)) : base::fail(options.error());
        if (!renewed) {
            base::log_error("app", "the configuration stays as it was, and so do the certificates",
                            {{"why", renewed.error().message}});
            return;
        }
    }
    base::set_log_level(fresh.log_level);
    report_waiting(*config, renews);
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
