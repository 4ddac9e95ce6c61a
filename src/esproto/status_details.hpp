// google.rpc.Status with several details, as version 2 errors carry it in the trailer
// `grpc-status-details-bin`. Written and read by hand: the message of that name that version 1
// uses has a single detail, and a program can hold only one message of a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::esproto {

inline constexpr char status_details_trailer[] = "grpc-status-details-bin";

struct status_detail {
    std::string type; // full name of the message, without "type.googleapis.com/"
    std::string value;
    friend bool operator==(const status_detail&, const status_detail&) = default;
};

struct status_details {
    std::int32_t code = 0; // a grpc::StatusCode
    std::string message;
    std::vector<status_detail> details;
    friend bool operator==(const status_details&, const status_details&) = default;
};

// Both: any thread.
[[nodiscard]] std::string encode(const status_details& status);
// Empty: not such a message.
[[nodiscard]] std::optional<status_details> decode_status_details(std::string_view bytes);

template <typename Message>
status_detail make_detail(const Message& message) {
    return {std::string(Message::descriptor()->full_name()), message.SerializeAsString()};
}

} // namespace immortal::esproto
