// The connection to a remote store: which node, how calls are prepared, what their failures mean.
// Included by the adapter's own sources only: it brings gRPC.
#pragma once

#include "base/result.hpp"
#include "eventstore/remote_store.hpp"

#include <condition_variable>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::eventstore {

enum class call_kind : std::uint8_t {
    read,
    write, // its failure may have an unknown outcome
    lasting_read,
    lasting_write,
};

// Thread-safe; calls block.
class remote_link {
public:
    // Errors: invalid_argument (a file of the connection string cannot be read).
    // `random` outlives it.
    [[nodiscard]] static base::result<std::unique_ptr<remote_link>>
    make(remote_settings settings, base::random_source& random);

    // A channel to a node; looks for one if there is none. Errors: unavailable.
    [[nodiscard]] base::result<std::shared_ptr<grpc::Channel>> channel();
    // Between two attempts to find a node: discovery_interval.
    void pause();
    // Credentials, name, deadline.
    void prepare(grpc::ClientContext& context, call_kind kind) const;
    // What a failed call means to the caller of the port. Forgets the node if it is not the right
    // one any more. `stream`: whom it was about, or empty.
    [[nodiscard]] base::error failure(const grpc::Status& status,
                                      const grpc::ClientContext& context, call_kind kind,
                                      std::string_view stream);

    [[nodiscard]] const remote_settings& settings() const { return settings_; }
    [[nodiscard]] std::string where() const; // for people

private:
    remote_link(remote_settings settings, base::random_source& random)
        : settings_(std::move(settings)), random_(random) {}
    [[nodiscard]] base::result<endpoint> discover();
    [[nodiscard]] std::optional<endpoint> ask(const endpoint& host) const;
    [[nodiscard]] std::shared_ptr<grpc::Channel> connect(const endpoint& to) const;
    void forget(std::optional<endpoint> better);

    const remote_settings settings_;
    base::random_source& random_;
    std::shared_ptr<grpc::ChannelCredentials> credentials_;
    std::string authorization_; // "Basic ..."
    std::mutex finding_;        // one search at a time
    mutable std::mutex mutex_;
    std::condition_variable paused_; // between two looks for a node
    std::optional<endpoint> node_;
    std::shared_ptr<grpc::Channel> channel_;
    std::optional<endpoint> hint_; // the leader, as another node told
};

} // namespace immortal::eventstore
