// The adapter for a store in another process where that wants TLS and a password.
#include "base/clock.hpp"
#include "esdb/certificate_testing.hpp"
#include "esdb/protocol_server.hpp"
#include "esdb/server_fixture.hpp"
#include "eventstore/memory_store.hpp"
#include "eventstore/remote_store.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace immortal::esdb {
namespace {

class remote_secure : public server_fixture {
protected:
    void SetUp() override {
        server_fixture::SetUp();
        std::string pattern = std::filesystem::temp_directory_path() / "immortal-tls-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override {
        store_.reset();
        node_->stop(std::chrono::milliseconds(100));
        node_.reset();
        server_fixture::TearDown();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    void serve(const tls_settings& tls) {
        protocol_settings settings;
        settings.server.port = 0;
        settings.server.tls = tls;
        settings.security = security_settings{.hash_bytes = 8192, .hash_passes = 1};
        node_ = std::make_unique<protocol_server>(engine_, *memory_, clock_, random_, settings);
        const auto started = node_->start();
        ASSERT_TRUE(started) << started.error().message;
        password_ = node_->first_administrator().value().password;
    }
    std::string file(const std::string& name, const std::string& text) {
        const std::string path = folder_ + "/" + name;
        std::ofstream(path) << text;
        return path;
    }
    base::result<std::unique_ptr<eventstore::event_store>> open(const std::string& credentials,
                                                                const std::string& keys) {
        eventstore::remote_settings settings;
        settings.connection = *eventstore::parse_connection_string(
            "esdb://" + credentials + "localhost:" + std::to_string(node_->port()) + "?" + keys);
        settings.operation_timeout = std::chrono::milliseconds(20'000);
        settings.start_attempts = 1;
        return eventstore::open_remote_store(std::move(settings), random_);
    }
    // Empty: it was let in.
    std::optional<base::errc> refusal(const std::string& credentials, const std::string& keys) {
        const auto opened = open(credentials, keys);
        return opened ? std::nullopt : std::optional(opened.error().code);
    }
    // The administrator is let in, and reads what was appended.
    void works(const std::string& keys) {
        auto opened = open("admin:" + password_ + "@", keys);
        ASSERT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = "s-" + std::to_string(++streams_);
        writes[0].events.push_back({.id = base::uuid::make_random(random_),
                                    .type = "Happened",
                                    .data = {},
                                    .metadata = {}});
        const auto done = engine_.run(store_->append(writes));
        ASSERT_TRUE(done) << done.error().message;
        const auto page = engine_.run(
            store_->read_stream(writes[0].stream, {0}, eventstore::direction::forwards, 10));
        ASSERT_TRUE(page) << page.error().message;
        EXPECT_EQ(page->events.size(), 1u);
    }

    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<eventstore::event_store> memory_ = eventstore::make_memory_store(clock_);
    std::unique_ptr<protocol_server> node_;
    std::unique_ptr<eventstore::event_store> store_;
    std::string folder_;
    std::string password_;
    int streams_ = 0;
};

TEST_F(remote_secure, the_right_authority_and_password_are_let_in) {
    const auto certificate = make_certificate();
    serve(certificate);
    const std::string trusted = "tlsCAFile=" + file("ca.pem", certificate.certificate);
    works(trusted);
}

TEST_F(remote_secure, nobody_else_is) {
    const auto certificate = make_certificate();
    serve(certificate);
    const std::string trusted = "tlsCAFile=" + file("ca.pem", certificate.certificate);
    EXPECT_EQ(refusal("admin:wrong@", trusted), base::errc::unauthenticated);
    EXPECT_EQ(refusal("admin:wrong@", "tlsVerifyCert=false"), base::errc::unauthenticated);
    EXPECT_EQ(refusal("admin:" + password_ + "@", ""), base::errc::unavailable); // not a known one
    const std::string other = "tlsCAFile=" + file("other.pem", make_certificate().certificate);
    EXPECT_EQ(refusal("admin:" + password_ + "@", other), base::errc::unavailable);
    EXPECT_EQ(refusal("admin:" + password_ + "@", "tls=false"), base::errc::unavailable);
    EXPECT_EQ(refusal("admin:" + password_ + "@", "tlsCAFile=" + folder_ + "/none"),
              base::errc::invalid_argument);
}

TEST_F(remote_secure, whoever_does_not_want_to_verify_need_not) {
    serve(make_certificate());
    works("tlsVerifyCert=false");
}

TEST_F(remote_secure, a_certificate_of_the_client_is_shown) {
    auto certificate = make_certificate();
    certificate.client_authority = certificate.certificate;
    certificate.client_required = true;
    serve(certificate);
    const std::string own = "&userCertFile=" + file("user.pem", certificate.certificate) +
                            "&userKeyFile=" + file("user.key", certificate.key);
    for (const std::string& server : {"tlsCAFile=" + file("ca.pem", certificate.certificate),
                                      std::string("tlsVerifyCert=false")}) {
        EXPECT_EQ(refusal("admin:" + password_ + "@", server), base::errc::unavailable);
        works(server + own);
        store_.reset();
    }
}

} // namespace
} // namespace immortal::esdb
