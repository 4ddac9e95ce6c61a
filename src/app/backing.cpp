#include "app/backing.hpp"

#include "runtime/managed_postgres.hpp"
#include "runtime/managed_redis.hpp"

namespace immortal::app {

backing::backing(runtime::guardian& parent, const data_folder& folder, const settings& options,
                 redis_use redis)
    : given_postgres_(options.postgres.uri), given_redis_(options.redis.uri) {
    if (given_postgres_.empty()) {
        postgres_ = std::make_unique<runtime::managed_postgres>(
            parent, runtime::managed_postgres::settings{.data_folder = folder.path(),
                                                        .log_folder = folder.logs()});
    }
    if (given_redis_.empty() && redis == redis_use::wanted) {
        redis_ = std::make_unique<runtime::managed_redis>(
            parent, runtime::managed_redis::settings{.data_folder = folder.path(),
                                                     .log_folder = folder.logs()});
    }
    if (redis == redis_use::unwanted) {
        given_redis_.clear();
    }
}

backing::~backing() {
    stop();
}

base::status backing::begin() {
    if (redis_ != nullptr) {
        if (auto begun = redis_->begin(); !begun) {
            return begun;
        }
    }
    return postgres_ != nullptr ? postgres_->begin() : base::status();
}

base::status backing::wait_ready() {
    if (postgres_ != nullptr) {
        if (auto ready = postgres_->wait_ready(); !ready) {
            return ready;
        }
    }
    return redis_ != nullptr ? redis_->wait_ready() : base::status();
}

void backing::begin_stop() {
    if (redis_ != nullptr) {
        redis_->begin_stop();
    }
    if (postgres_ != nullptr) {
        postgres_->begin_stop();
    }
}

void backing::stop() {
    begin_stop();
    if (redis_ != nullptr) {
        redis_->stop();
    }
    if (postgres_ != nullptr) {
        postgres_->stop();
    }
}

std::string backing::postgres_uri() const {
    return postgres_ != nullptr ? postgres_->uri() : given_postgres_;
}

std::string backing::redis_uri() const {
    return redis_ != nullptr ? redis_->uri() : given_redis_;
}

std::vector<service_line> backing::lines() const {
    const auto managed = [](const std::string& name, const auto& service) {
        return service_line{name, "managed, process " + std::to_string(service.status().pid),
                            service.folder().string()};
    };
    std::vector<service_line> out;
    out.push_back(postgres_ != nullptr
                      ? managed("PostgreSQL", *postgres_)
                      : service_line{"PostgreSQL", "given", without_password(given_postgres_)});
    if (redis_ != nullptr) {
        out.push_back(managed("Redis", *redis_));
    } else if (!given_redis_.empty()) {
        out.push_back({"Redis", "given", without_password(given_redis_)});
    }
    return out;
}

runtime::resource_needs needs_of(const settings& options, backing::redis_use redis) {
    constexpr std::size_t own_threads = 24; // besides those that serve: log, index, gRPC, hashing
    constexpr std::size_t postgres_processes = 16;
    constexpr std::size_t redis_threads = 8;
    const bool managed_redis = options.redis.uri.empty() && redis == backing::redis_use::wanted;
    runtime::resource_needs out;
    out.threads =
        options.server.threads + own_threads + (managed_redis ? redis_threads : 0) +
        (options.postgres.uri.empty() ? postgres_processes + options.postgres.connections : 0);
    out.descriptors = 256;
    out.address_space = std::uint64_t{512} << 20u;
    if (options.event_store.uri.empty()) {
        out.file_size = options.event_log.segment_bytes + (1u << 20u);
    }
    return out;
}

std::string without_password(const std::string& uri) {
    const auto scheme = uri.find("://");
    if (scheme == std::string::npos) {
        // libpq's keywords: only what cannot be a password is shown.
        return uri.find("password") == std::string::npos ? uri : "(address with a password)";
    }
    const auto begin = scheme + 3;
    const auto at = uri.rfind('@', uri.find('?')); // a password may hold '/' and '@'
    if (at == std::string::npos || at < begin) {
        return uri.substr(0, uri.find('?'));
    }
    const auto colon = uri.find(':', begin);
    const std::string user = uri.substr(begin, (colon < at ? colon : at) - begin);
    std::string out = uri.substr(0, begin);
    out += user;
    out += uri.substr(at);
    return out.substr(0, out.find('?')); // a query may hold a password too
}

} // namespace immortal::app
