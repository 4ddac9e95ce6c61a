#include "esdb/certificates.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <grpc/grpc_security.h>
#include <utility>

namespace immortal::esdb {

namespace {

using bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using private_key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

bio reading(const std::string& pem) {
    return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

base::status unusable(const char* what) {
    ERR_clear_error();
    return base::fail(base::errc::invalid_argument, what);
}

// How many certificates stand in `pem`; 0 also if one of them is damaged.
std::size_t count_certificates(const std::string& pem) {
    const bio in = reading(pem);
    std::size_t count = 0;
    for (;;) {
        const certificate one(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), &X509_free);
        if (one == nullptr) {
            break;
        }
        ++count;
    }
    // The end shows as a missing first line; anything else is damage.
    const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end ? count : 0;
}

// Never asks anybody for the password of a key.
int no_password(char*, int, int, void*) {
    return 0;
}

grpc_ssl_client_certificate_request_type request_of(const tls_settings& tls) {
    if (tls.client_authority.empty()) {
        return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    }
    return tls.client_required ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                               : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
}

// gRPC's C++ interface has no certificates that change; its core has, and asks before every
// handshake.
class renewable_credentials final : public grpc::ServerCredentials {
public:
    explicit renewable_credentials(std::shared_ptr<const certificate_source> source)
        : source_(std::move(source)),
          core_(grpc_ssl_server_credentials_create_with_options(
              grpc_ssl_server_credentials_create_options_using_config_fetcher(
                  request_of(source_->current().tls), &fetch, this))) {}
    ~renewable_credentials() override { grpc_server_credentials_release(core_); }
    renewable_credentials(const renewable_credentials&) = delete;
    renewable_credentials& operator=(const renewable_credentials&) = delete;

    void SetAuthMetadataProcessor(
        const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {}

private:
    int AddPortToServer(const std::string& address, grpc_server* server) override {
        return grpc_server_add_http2_port(server, address.c_str(), core_);
    }

    // gRPC calls it under a lock of the address.
    static grpc_ssl_certificate_config_reload_status
    fetch(void* self, grpc_ssl_server_certificate_config** out) {
        auto& own = *static_cast<renewable_credentials*>(self);
        const auto now = own.source_->current();
        if (now.version == own.seen_) {
            return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
        }
        const grpc_ssl_pem_key_cert_pair pair{now.tls.key.c_str(), now.tls.certificate.c_str()};
        // The core insists on authorities; where no client is asked they judge nobody.
        const std::string& authority =
            now.tls.client_authority.empty() ? now.tls.certificate : now.tls.client_authority;
        *out = grpc_ssl_server_certificate_config_create(authority.c_str(), &pair, 1);
        own.seen_ = now.version;
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }

    const std::shared_ptr<const certificate_source> source_;
    std::uint64_t seen_ = 0; // the version gRPC has
    grpc_server_credentials* const core_;
};

} // namespace

base::status check_certificates(const tls_settings& tls) {
    const certificate own(
        PEM_read_bio_X509(reading(tls.certificate).get(), nullptr, nullptr, nullptr), &X509_free);
    if (own == nullptr || count_certificates(tls.certificate) == 0) {
        return unusable("The TLS certificate cannot be read; it must be PEM.");
    }
    const private_key key(
        PEM_read_bio_PrivateKey(reading(tls.key).get(), nullptr, &no_password, nullptr),
        &EVP_PKEY_free);
    if (key == nullptr) {
        return unusable("The TLS key cannot be read; it must be PEM and without a password.");
    }
    if (X509_check_private_key(own.get(), key.get()) != 1) {
        return unusable("The TLS key does not belong to the certificate.");
    }
    if (!tls.client_authority.empty() && count_certificates(tls.client_authority) == 0) {
        return unusable("The authorities of client certificates cannot be read; they must be PEM.");
    }
    return {};
}

certificate_source::certificate_source(tls_settings tls) : current_{1, std::move(tls)} {}

base::status certificate_source::renew(tls_settings tls) {
    if (auto good = check_certificates(tls); !good) {
        return good;
    }
    const std::lock_guard lock(mutex_);
    if (tls.client_authority.empty() != current_.tls.client_authority.empty()) {
        return base::fail(
            base::errc::invalid_argument,
            "Whether clients are asked for certificates changes only with a restart.");
    }
    current_ = {current_.version + 1, std::move(tls)};
    return {};
}

certificate_source::versioned certificate_source::current() const {
    const std::lock_guard lock(mutex_);
    return current_;
}

std::shared_ptr<grpc::ServerCredentials>
make_credentials(std::shared_ptr<const certificate_source> source) {
    return std::make_shared<renewable_credentials>(std::move(source));
}

} // namespace immortal::esdb
