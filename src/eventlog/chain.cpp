#include "eventlog/chain.hpp"

#include "base/assert.hpp"

#include <openssl/evp.h>

namespace immortal::eventlog {

struct chain_hasher::state {
    EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    EVP_MD_CTX* context = EVP_MD_CTX_new();

    state() { IMMORTAL_ASSERT(algorithm != nullptr && context != nullptr); }
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
        EVP_MD_CTX_free(context);
        EVP_MD_free(algorithm);
    }
};

chain_hasher::chain_hasher() : state_(std::make_unique<state>()) {}
chain_hasher::~chain_hasher() = default;

base::digest256 chain_hasher::after(std::span<const std::byte> frame) {
    base::digest256 out{};
    unsigned size = 0;
    const bool done = EVP_DigestInit_ex2(state_->context, state_->algorithm, nullptr) == 1 &&
                      EVP_DigestUpdate(state_->context, frame.data(), frame.size()) == 1 &&
                      EVP_DigestFinal_ex(state_->context, out.data(), &size) == 1;
    IMMORTAL_ASSERT(done && size == out.size());
    return out;
}

base::digest256 chain_hasher::genesis(const base::uuid& log_id) {
    return after(std::as_bytes(std::span(log_id.bytes)));
}

} // namespace immortal::eventlog
