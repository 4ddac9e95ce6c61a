#include "api/repeated_key.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <cstdint>
#include <unordered_set>
#include <vector>

namespace immortal::api {
namespace {

namespace json = boost::json;
using json::error_code;
using text_view = json::string_view;

// What Boost.JSON's parser tells of a text, of which only the keys matter.
struct key_watch {
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;

    std::vector<std::unordered_set<std::string>> open; // the keys of each object around here
    std::string key;                                   // its parts so far
    std::optional<std::string> repeated;

    bool on_object_begin(error_code&) {
        open.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        open.pop_back();
        return true;
    }
    bool on_key_part(text_view part, std::size_t, error_code&) {
        key.append(part.data(), part.size());
        return true;
    }
    bool on_key(text_view part, std::size_t, error_code& stop) {
        key.append(part.data(), part.size());
        if (open.back().insert(key).second) {
            key.clear();
            return true;
        }
        repeated = std::move(key);
        stop = boost::system::errc::make_error_code(boost::system::errc::operation_canceled);
        return false;
    }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_array_begin(error_code&) { return true; }
    bool on_array_end(std::size_t, error_code&) { return true; }
    bool on_string_part(text_view, std::size_t, error_code&) { return true; }
    bool on_string(text_view, std::size_t, error_code&) { return true; }
    bool on_number_part(text_view, error_code&) { return true; }
    bool on_int64(std::int64_t, text_view, error_code&) { return true; }
    bool on_uint64(std::uint64_t, text_view, error_code&) { return true; }
    bool on_double(double, text_view, error_code&) { return true; }
    bool on_bool(bool, error_code&) { return true; }
    bool on_null(error_code&) { return true; }
    bool on_comment_part(text_view, error_code&) { return true; }
    bool on_comment(text_view, error_code&) { return true; }
};

} // namespace

std::optional<std::string> repeated_key(std::string_view text) {
    json::basic_parser<key_watch> parser{json::parse_options{}};
    error_code failed;
    (void)parser.write_some(false, text.data(), text.size(), failed);
    return std::move(parser.handler().repeated);
}

} // namespace immortal::api
