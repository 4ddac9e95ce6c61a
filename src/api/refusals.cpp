#include "api/refusals.hpp"

#include <algorithm>
#include <array>

namespace immortal::api {
namespace {

constexpr std::array all{
    refusal{400, "bad_content_length"},
    refusal{400, "bad_framing"},
    refusal{400, "bad_host"},
    refusal{400, "bad_target"},
    refusal{400, "bad_transfer_encoding"},
    refusal{400, "bad_version"},
    refusal{400, "chunk_extension"},
    refusal{400, "folded_header"},
    refusal{400, "malformed_json"},
    refusal{400, "malformed_path"},
    refusal{400, "malformed_query"},
    refusal{400, "malformed_request"},
    refusal{400, "missing_host"},
    refusal{400, "repeated_header"},
    refusal{400, "trailer_fields"},
    refusal{400, "unexpected_body"},
    refusal{401, "unauthenticated"},
    refusal{401, "wrong_credentials"},
    refusal{403, "forbidden"},
    refusal{403, "wrong_password"},
    refusal{404, "not_found"},
    refusal{405, "method_not_allowed"},
    refusal{408, "request_timeout"},
    refusal{409, "already_exists"},
    refusal{409, "email_taken"},
    refusal{409, "username_taken"},
    refusal{412, "revision_conflict"},
    refusal{413, "body_too_large"},
    refusal{413, "too_large"},
    refusal{415, "unsupported_content_encoding"},
    refusal{415, "unsupported_media_type"},
    refusal{417, "unknown_expectation"},
    refusal{422, "bad_email"},
    refusal{422, "bad_password_length"},
    refusal{422, "bad_username"},
    refusal{422, "common_password"},
    refusal{422, "idempotency_key_reused"},
    refusal{422, "invalid_field"},
    refusal{422, "invalid_idempotency_key"},
    refusal{422, "invalid_parameter"},
    refusal{422, "invalid_request"},
    refusal{422, "missing_field"},
    refusal{422, "repeated_field"},
    refusal{422, "repeated_parameter"},
    refusal{422, "too_long"},
    refusal{422, "unknown_field"},
    refusal{422, "unknown_parameter"},
    refusal{429, "busy"},
    refusal{429, "rate_limited"},
    refusal{429, "too_often"},
    refusal{431, "header_too_large"},
    refusal{431, "too_many_headers"},
    refusal{500, "internal_error"},
    refusal{503, "board_behind"},
    refusal{503, "busy_aggregate"},
    refusal{503, "cancelled"},
    refusal{503, "disk_full"},
    refusal{503, "event_store_away"},
    refusal{503, "exhausted"},
    refusal{503, "index_behind"},
    refusal{503, "index_damaged"},
    refusal{503, "index_failed"},
    refusal{503, "io_error"},
    refusal{503, "queue_full"},
    refusal{503, "read_model_behind"},
    refusal{503, "server_full"},
    refusal{503, "sync_failed"},
    refusal{503, "timeout"},
    refusal{503, "too_many_connections"},
    refusal{503, "too_many_open_files"},
    refusal{503, "unavailable"},
    refusal{503, "unknown_outcome"},
};

} // namespace

std::span<const refusal> refusals() noexcept {
    return all;
}

bool is_refusal(std::string_view code) noexcept {
    return std::ranges::find(all, code, &refusal::code) != all.end();
}

} // namespace immortal::api
