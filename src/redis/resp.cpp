#include "redis/resp.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>
#include <hiredis/read.h>
#include <openssl/evp.h>

#include <array>
#include <iterator>
#include <new>

namespace immortal::redis {

namespace {

// hiredis' reader calls these as it meets the parts of a reply; an element of an array is written
// into the place that the array made for it.
reply* place_for(const redisReadTask* task) {
    if (task->parent == nullptr) {
        return new reply; // the root: owned by the reader until it is taken
    }
    return &static_cast<reply*>(task->parent->obj)->items[static_cast<std::size_t>(task->idx)];
}

void* make_text(const redisReadTask* task, char* text, std::size_t size) {
    reply* out = place_for(task);
    out->what = task->type == REDIS_REPLY_ERROR ? reply::kind::error : reply::kind::text;
    out->text.assign(text, size);
    return out;
}

void* make_array(const redisReadTask* task, int count) {
    reply* out = place_for(task);
    out->what = reply::kind::array;
    out->items.resize(static_cast<std::size_t>(count < 0 ? 0 : count));
    return out;
}

void* make_integer(const redisReadTask* task, long long value) {
    reply* out = place_for(task);
    out->what = reply::kind::integer;
    out->integer = value;
    return out;
}

void* make_nil(const redisReadTask* task) {
    return place_for(task);
}

void free_root(void* root) {
    delete static_cast<reply*>(root); // tidy-allow(banned): hiredis owns it by a void pointer.
}

redisReplyObjectFunctions functions{make_text, make_array, make_integer, make_nil, free_root};

} // namespace

void encode(const command& c, std::string& out) {
    IMMORTAL_ASSERT(!c.empty());
    const auto append = [&out](char kind, std::size_t number) {
        out += kind;
        const fmt::format_int text(number);
        out.append(text.data(), text.size());
        out += "\r\n";
    };
    append('*', c.size());
    for (const auto& part : c) {
        append('$', part.size());
        out += part;
        out += "\r\n";
    }
}

struct reply_reader::state {
    struct free_reader {
        void operator()(redisReader* r) const noexcept { redisReaderFree(r); }
    };
    std::unique_ptr<redisReader, free_reader> reader{redisReaderCreateWithFunctions(&functions)};
    bool broken = false;
};

reply_reader::reply_reader() : state_(std::make_unique<state>()) {
    if (!state_->reader) {
        throw std::bad_alloc();
    }
}

reply_reader::~reply_reader() = default;

void reply_reader::feed(std::string_view bytes) {
    if (!state_->broken &&
        redisReaderFeed(state_->reader.get(), bytes.data(), bytes.size()) != REDIS_OK) {
        state_->broken = true;
    }
}

std::optional<reply> reply_reader::next() {
    void* root = nullptr;
    if (state_->broken) {
        return std::nullopt;
    }
    if (redisReaderGetReply(state_->reader.get(), &root) != REDIS_OK) {
        state_->broken = true;
        return std::nullopt;
    }
    if (root == nullptr) {
        return std::nullopt;
    }
    const std::unique_ptr<reply> owned(static_cast<reply*>(root));
    return std::move(*owned);
}

bool reply_reader::broken() const {
    return state_->broken;
}

script::script(std::string text) : text_(std::move(text)) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    const int done =
        EVP_Digest(text_.data(), text_.size(), bytes.data(), &size, EVP_sha1(), nullptr);
    IMMORTAL_ASSERT(done == 1);
    for (unsigned i = 0; i < size; ++i) {
        fmt::format_to(std::back_inserter(digest_), "{:02x}", bytes[i]);
    }
}

} // namespace immortal::redis
