// How a remote event store is known to be the right one, and how it knows its client.
#pragma once

#include "base/result.hpp"
#include "eventstore/connection_string.hpp"

#include <grpcpp/security/credentials.h>
#include <memory>

namespace immortal::eventstore {

// Of every channel to the store: TLS as the connection string says, or none. Reads the files that
// it names. With `tlsVerifyCert=false` the server's certificate is not looked at, which a warning
// tells. Errors: invalid_argument (a file that cannot be read; named by its key).
[[nodiscard]] base::result<std::shared_ptr<grpc::ChannelCredentials>>
make_credentials(const connection_settings& from);

} // namespace immortal::eventstore
