#include "app/esdb_options.hpp"

#include "app/http_address.hpp"
#include "app/output.hpp"
#include "base/small_file.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace immortal::app {

namespace {

base::result<std::string> content_of(const std::string& key, const std::string& file) {
    auto text = base::read_small_file(file);
    if (!text || text->empty()) {
        return base::fail(base::errc::invalid_argument,
                          key + ": the file " + (text ? file + " is empty" : text.error().message) +
                              ".");
    }
    return text;
}

} // namespace

base::result<esdb::protocol_settings> esdb_options(const settings& options) {
    const esdb_settings& in = options.esdb;
    esdb::protocol_settings out;
    out.server.addresses = numeric_addresses(in.address);
    out.server.port = in.port;
    out.calls_max = in.calls_max;
    out.unfinished_bytes_max = in.unfinished_bytes_max;
    out.append = {.contents = in.append_bytes_max,
                  .events = options.event_log.append_events_max,
                  .encoded = options.event_log.append_bytes_max};
    out.write_limit = in.commit_timeout;
    out.server.receive_bytes_max = in.receive_bytes_max;
    out.server.first_message_limit = in.first_message_timeout;
    out.server.message_limit = in.message_timeout;
    out.server.answer_limit = in.answer_timeout;
    out.server.receiving_max = in.receiving_max;
    out.advertised_host = in.advertised_host;
    out.group_bytes_max = in.group_bytes_max;
    if (in.tls_certificate.empty() != in.tls_key.empty()) {
        return base::fail(base::errc::invalid_argument,
                          "esdb.tls_certificate and esdb.tls_key belong together: give both.");
    }
    if (in.tls_certificate.empty()) {
        return out;
    }
    esdb::tls_settings tls;
    auto certificate = content_of("esdb.tls_certificate", in.tls_certificate);
    auto key = content_of("esdb.tls_key", in.tls_key);
    if (!certificate || !key) {
        return base::fail(certificate ? key.error() : certificate.error());
    }
    tls.certificate = std::move(*certificate);
    tls.key = std::move(*key);
    if (!in.tls_client_authority.empty()) {
        auto authority = content_of("esdb.tls_client_authority", in.tls_client_authority);
        if (!authority) {
            return base::fail(authority.error());
        }
        tls.client_authority = std::move(*authority);
        tls.client_required = in.tls_client_required;
    }
    out.server.tls = std::move(tls);
    out.security = esdb::security_settings{.anonymous_streams = in.anonymous_streams,
                                           .hashes_at_once = in.hashes_at_once,
                                           .hash_queue_max = in.hash_queue_max};
    return out;
}

void print_first_password(const std::optional<esdb::first_user>& made) {
    if (!made) {
        return;
    }
    const std::string text =
        fmt::format("The event store's first user is '{}' with the password {}\n"
                    "It is shown only now: keep it, or change it with the Users service.\n\n",
                    made->login, made->password);
    if (!announce(text)) {
        (void)!std::fputs(text.c_str(), stderr); // lost otherwise
    }
}

} // namespace immortal::app
