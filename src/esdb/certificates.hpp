// The server's certificates, which may be renewed while it serves.
#pragma once

#include "base/result.hpp"
#include "esdb/server.hpp"

#include <cstdint>
#include <grpcpp/security/server_credentials.h>
#include <memory>
#include <mutex>

namespace immortal::esdb {

// Whether a TLS server can be made of them: certificates and key can be read and belong together.
// Errors: invalid_argument, with a sentence.
[[nodiscard]] base::status check_certificates(const tls_settings& tls);

// Thread-safe. Kept alive by the credentials made of it.
class certificate_source {
public:
    explicit certificate_source(tls_settings tls);

    // For handshakes from now on. Whether client certificates are asked for stays as it was.
    // Errors: as check_certificates(); nothing has changed then.
    base::status renew(tls_settings tls);

    struct versioned {
        std::uint64_t version = 0;
        tls_settings tls;
    };
    [[nodiscard]] versioned current() const;

private:
    mutable std::mutex mutex_; // guards what follows
    versioned current_;
};

// Credentials for one listening address: each needs its own, as gRPC asks for new certificates
// address by address. They outlive the server that is given them. The first certificates are read
// when the server is built.
[[nodiscard]] std::shared_ptr<grpc::ServerCredentials>
make_credentials(std::shared_ptr<const certificate_source> source);

} // namespace immortal::esdb
