#include "base/patience_testing.hpp"
#include "esdb/connection_meter.hpp"
#include "esdb/raw_client_testing.hpp"

#include <netinet/tcp.h>
#include <sys/ioctl.h>

namespace immortal::esdb {
namespace {

using std::chrono::seconds;

// A connection of ours that nobody reads.
class metered_connection_test : public testing::Test {
protected:
    metered_connection_test() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): the interface is C
        auto* const where = reinterpret_cast<sockaddr*>(&address);
        // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
        EXPECT_EQ(::bind(listener_, where, size), 0);
        EXPECT_EQ(::listen(listener_, 1), 0);
        EXPECT_EQ(::getsockname(listener_, where, &size), 0);
        client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(client_, where, size), 0);
        const int immediately = 1;
        EXPECT_EQ(setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &immediately, sizeof immediately),
                  0);
        server_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        EXPECT_GE(server_, 0);
        std::uint64_t cookie = 0;
        socklen_t cookie_size = sizeof cookie;
        EXPECT_EQ(getsockopt(server_, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_size), 0);
        connection_.emplace(server_, cookie);
    }
    ~metered_connection_test() override {
        for (const int each : {client_, server_, listener_}) {
            ::close(each);
        }
    }
    // Returns when all of it has come.
    void send(std::size_t bytes) {
        sent_ += bytes;
        const std::string text(bytes, 'x');
        EXPECT_EQ(::send(client_, text.data(), text.size(), 0), static_cast<ssize_t>(bytes));
        await(server_, sent_);
    }
    static void await(int socket, std::size_t bytes) {
        EXPECT_TRUE(base::comes_true([&] {
            int waiting = 0;
            return ::ioctl(socket, FIONREAD, &waiting) != 0 ||
                   static_cast<std::size_t>(waiting) >= bytes;
        }));
    }

    int listener_ = -1;
    int client_ = -1;
    int server_ = -1;
    std::size_t sent_ = 0;
    std::optional<metered_connection> connection_;
    const metered_connection::steady_time start_ = std::chrono::steady_clock::now() + seconds(100);
};

TEST_F(metered_connection_test, what_came_and_was_not_given_to_a_call_is_unexplained) {
    (void)connection_->unexplained(start_);
    send(10'000);
    EXPECT_EQ(connection_->unexplained(start_), 10'000U);
    connection_->explain(4'000);
    EXPECT_EQ(connection_->unexplained(start_), 6'000U);
    connection_->explain(7'000);
    EXPECT_EQ(connection_->unexplained(start_), 0U);
    send(500);
    EXPECT_EQ(connection_->unexplained(start_), 500U) << "nothing is explained in advance";
}

// For days a stream is idle, and its client says every ten seconds that it is there.
TEST_F(metered_connection_test, what_a_client_sends_to_show_that_it_is_there_explains_itself) {
    (void)connection_->unexplained(start_);
    constexpr std::size_t ping = 40;
    for (int i = 1; i <= 100; ++i) {
        send(ping);
        ASSERT_LE(connection_->unexplained(start_ + i * seconds(10)).value_or(1), ping) << i;
    }
}

TEST_F(metered_connection_test, a_message_is_not_explained_by_the_time_before_it) {
    (void)connection_->unexplained(start_);
    const auto later = start_ + std::chrono::hours(1'000);
    (void)connection_->unexplained(later);
    send(100'000);
    EXPECT_EQ(connection_->unexplained(later), 100'000U);
    EXPECT_EQ(connection_->unexplained(later + seconds(10)),
              100'000U - 10 * metered_connection::self_explained_rate);
    EXPECT_GE(connection_->unexplained(later + std::chrono::hours(1)).value_or(0), 90'000U)
        << "what is not looked at saves nothing up";
}

TEST_F(metered_connection_test, a_closed_connection_tells_nothing) {
    ::close(server_);
    server_ = ::dup(client_); // the number is another's now
    EXPECT_FALSE(connection_->unexplained(start_));
}

} // namespace
} // namespace immortal::esdb
