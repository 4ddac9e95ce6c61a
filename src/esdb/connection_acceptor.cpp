#include "esdb/connection_acceptor.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr int pause_ms = 50;     // when there is no descriptor
constexpr int in_a_row_max = 64; // connections of one socket, before the others have their turn
constexpr std::chrono::seconds quiet_time{10}; // between two lines about a shortage

std::string text_of(int error) {
    return std::error_code(error, std::generic_category()).message();
}

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

} // namespace

connection_acceptor::connection_acceptor(std::vector<descriptor> sockets,
                                         std::function<bool()> may_accept,
                                         std::function<void(int connection)> accepted)
    : may_accept_(std::move(may_accept)), accepted_(std::move(accepted)),
      sockets_(std::move(sockets)) {}

connection_acceptor::~connection_acceptor() {
    stop();
}

base::status
connection_acceptor::start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> target) {
    IMMORTAL_ASSERT(target_ == nullptr && target != nullptr && !sockets_.empty());
    target_ = std::move(target);
    wake_ = descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    try {
        if (wake_.get() < 0) {
            throw std::system_error(errno, std::generic_category());
        }
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& refused) {
        return base::fail(base::errc::unavailable,
                          "The event store's protocol cannot accept connections: the system "
                          "refuses a thread or a descriptor for it (" +
                              text_of(refused.code().value()) + ").");
    }
    return {};
}

void connection_acceptor::stop() {
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        const auto written = write(wake_.get(), &one, sizeof one);
        IMMORTAL_ASSERT(written == sizeof one);
        thread_.join();
    }
    sockets_.clear();
}

void connection_acceptor::run() {
    std::vector<pollfd> watched;
    for (const descriptor& socket : sockets_) {
        watched.push_back({socket.get(), POLLIN, 0});
    }
    watched.push_back({wake_.get(), POLLIN, 0});
    for (;;) {
        if (poll(watched.data(), watched.size(), -1) < 0) {
            if (errno != EINTR) {
                pause();
            }
            continue;
        }
        if (watched.back().revents != 0) {
            return;
        }
        if (!is_allowed()) {
            pause();
            continue;
        }
        for (std::size_t i = 0; i + 1 < watched.size(); ++i) {
            if (watched[i].revents != 0) {
                accept_some(watched[i].fd);
            }
        }
    }
}

void connection_acceptor::accept_some(int socket) {
    for (int i = 0; i < in_a_row_max && (i == 0 || is_allowed()); ++i) {
        const int connection = accept4(socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection < 0) {
            if (is_shortage(errno)) {
                tell_of_shortage(errno);
                pause();
                return;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return;
            }
            continue; // this one has gone again
        }
        if (accepted_) {
            accepted_(connection);
        }
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters handed;
        handed.listener_fd = socket;
        handed.fd = connection;
        target_->HandleNewConnection(&handed); // owns it from here
    }
}

bool connection_acceptor::is_allowed() const {
    return !may_accept_ || may_accept_();
}

void connection_acceptor::tell_of_shortage(int error) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= quiet_until_) {
        quiet_until_ = now + quiet_time;
        base::log_warning("esdb", "connections wait until the system has room for them",
                          {{"why", text_of(error)}});
    }
}

// Ends early when it is time to stop.
void connection_acceptor::pause() const {
    pollfd stopped{wake_.get(), POLLIN, 0};
    (void)poll(&stopped, 1, pause_ms);
}

} // namespace immortal::esdb
