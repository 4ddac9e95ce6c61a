#include "eventstore/remote_credentials.hpp"

#include "base/log.hpp"
#include "base/small_file.hpp"

#include <fmt/format.h>

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <string>
#include <string_view>
#include <utility>

namespace immortal::eventstore {
namespace {

namespace tls = grpc::experimental;

struct pem_texts {
    std::string authority;
    std::string certificate;
    std::string key;
};

base::status read_file(const std::string& path, std::string_view key, std::string& out) {
    if (path.empty()) {
        return {};
    }
    auto content = base::read_small_file(path);
    if (!content || content->empty()) {
        return base::fail(base::errc::invalid_argument,
                          fmt::format("the file that {} of the event store's connection string "
                                      "names cannot be used: {}",
                                      key, content ? path + " is empty" : content.error().message));
    }
    out = std::move(*content);
    return {};
}

base::result<pem_texts> read_files(const connection_settings& from) {
    pem_texts out;
    auto done = read_file(from.ca_file, "tlsCAFile", out.authority);
    if (done) {
        done = read_file(from.user_cert_file, "userCertFile", out.certificate);
    }
    if (done) {
        done = read_file(from.user_key_file, "userKeyFile", out.key);
    }
    if (!done) {
        return base::fail(std::move(done.error()));
    }
    return out;
}

std::shared_ptr<grpc::ChannelCredentials> unverified(const pem_texts& own) {
    tls::TlsChannelCredentialsOptions options;
    options.set_verify_server_certs(false);
    options.set_check_call_host(false);
    options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
    if (!own.certificate.empty()) {
        options.set_certificate_provider(std::make_shared<tls::StaticDataCertificateProvider>(
            std::vector<tls::IdentityKeyCertPair>{{own.key, own.certificate}}));
        options.watch_identity_key_cert_pairs();
    }
    return tls::TlsCredentials(options);
}

} // namespace

base::result<std::shared_ptr<grpc::ChannelCredentials>>
make_credentials(const connection_settings& from) {
    if (!from.tls) {
        return grpc::InsecureChannelCredentials();
    }
    auto texts = read_files(from);
    if (!texts) {
        return base::fail(std::move(texts.error()));
    }
    if (!from.verify_certificate) {
        base::log_warning("eventstore", "tlsVerifyCert=false: the event store is not asked to "
                                        "prove who it is, and anybody on the way can read and "
                                        "change what is sent");
        return unverified(*texts);
    }
    return grpc::SslCredentials({.pem_root_certs = std::move(texts->authority),
                                 .pem_private_key = std::move(texts->key),
                                 .pem_cert_chain = std::move(texts->certificate)});
}

} // namespace immortal::eventstore
