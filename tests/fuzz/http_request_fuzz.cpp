// The bytes of an HTTP connection. However they are cut into pieces, the same requests come out, or
// the same refusal.
#include "api/request_parser.hpp"
#include "fuzz.hpp"

#include <string>

namespace {

using namespace immortal; // NOLINT: a fuzz target
using api::request_parser;

const std::string refused = "refused\n";

// What came out of all bytes, offered `piece` more at a time.
std::string outcome(std::string_view bytes, std::size_t piece) {
    request_parser parser({.header_size_max = 2048, .body_size_max = 1024});
    parser.reset();
    std::string out;
    std::size_t begin = 0;
    std::size_t end = 0;
    for (;;) {
        std::size_t consumed = 0;
        const auto progress = parser.put(bytes.substr(begin, end - begin), consumed);
        fuzz::require(consumed <= end - begin);
        begin += consumed;
        if (progress == request_parser::progress::failed) {
            fuzz::require(parser.error().status >= 400 && parser.error().status < 600);
            return out + refused;
        }
        if (progress == request_parser::progress::done) {
            const api::request& request = parser.message();
            out += std::string(name_of(request.verb)) + " " + request.target + " " +
                   request.authorization + " " + request.content_type + " " +
                   request.idempotency_key + " " + request.body +
                   (parser.keep_alive() ? " kept\n" : " closed\n");
            fuzz::require(request.body.size() <= 1024);
            parser.reset();
            continue;
        }
        if (end == bytes.size()) {
            return out;
        }
        end = std::min(bytes.size(), end + piece);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 8192) {
        return 0;
    }
    // What is malformed may be refused before it has ended, or not until then: let headers end.
    const std::string bytes = std::string(fuzz::text_of(data, size)) + "\r\n\r\n";
    const std::string whole = outcome(bytes, bytes.size());
    const std::string pieces = outcome(bytes, 1 + data[0] % 7u);
    fuzz::require(whole == pieces || whole == pieces + refused || pieces == whole + refused);
    return 0;
}
