// Handlers in terms of messages. Included by the services' .cpp files only: it brings protobuf.
#pragma once

#include "esdb/call.hpp"
#include "esdb/message_parts.hpp"
#include "esdb/method_table.hpp"

#include <fmt/format.h>

#include <concepts>
#include <google/protobuf/message_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <memory>
#include <optional>
#include <utility>

namespace immortal::esdb {

// Takes the bytes. Empty: they are no such message.
template <typename Message>
std::optional<Message> parse_message(grpc::ByteBuffer& bytes) {
    std::optional<Message> message(std::in_place);
    if (!grpc::SerializationTraits<Message>::Deserialize(&bytes, &*message).ok()) {
        message.reset();
    }
    return message;
}

template <typename Message>
grpc::ByteBuffer message_bytes(const Message& message) {
    grpc::ByteBuffer bytes;
    bool own = false;
    (void)grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own);
    return bytes;
}

// The rule of a method whose messages of this type name streams.
template <typename Message, stream_needs (*Needs)(const Message&)>
[[nodiscard]] access_rule stream_rule(access_denial denial = nullptr) {
    return {.what = access_rule::kind::streams,
            .needs =
                [](const google::protobuf::MessageLite& message) {
                    return Needs(static_cast<const Message&>(message));
                },
            .denial = denial};
}

// What a large message takes until its handler has charged what it keeps of it. Refused: it is no
// message of that type, or there is no room for it.
template <typename Message>
rpc_result<shared_charge> charge_of_message(call& asked, grpc::ByteBuffer& bytes) {
    if (bytes.Length() <= unlooked_bytes_max) {
        return shared_charge();
    }
    grpc::ProtoBufferReader reader(&bytes);
    const auto parts = count_parts(reader, *Message::descriptor());
    if (!parts) {
        return refuse(refusal::invalid("The message cannot be parsed."));
    }
    if (*parts > message_parts_max) {
        return refuse(refusal::invalid(
            fmt::format("The message has more than {} parts (events, properties, metadata): send "
                        "fewer in one message.",
                        message_parts_max)));
    }
    shared_charge charge = asked.make_charge();
    if (!charge->grow(bytes.Length() + *parts * part_bytes)) {
        return refuse(refusal::too_busy());
    }
    return charge;
}

// The next message, admitted by the method's rule of access. No value: the client has finished
// sending. Refused: it sent something else, or may not. It is charged until this comes back.
template <typename Message>
awaitable<rpc_result<std::optional<Message>>> receive(call& asked) {
    auto bytes = co_await asked.read();
    if (!bytes) {
        co_return std::optional<Message>();
    }
    auto charge = charge_of_message<Message>(asked, *bytes);
    if (!charge) {
        co_return refuse(std::move(charge.error()));
    }
    auto message = parse_message<Message>(*bytes);
    if (!message) {
        co_return refuse(refusal::invalid("The message cannot be parsed."));
    }
    if (auto refused = co_await asked.admit(*message)) {
        co_return refuse(std::move(*refused));
    }
    co_return std::move(message);
}

// The one message of a unary or server-streaming call.
template <typename Message>
awaitable<rpc_result<Message>> receive_only(call& asked) {
    auto message = co_await receive<Message>(asked);
    if (!message) {
        co_return refuse(std::move(message.error()));
    }
    if (!*message) {
        co_return refuse(refusal::invalid("The request message is missing."));
    }
    co_return std::move(**message);
}

template <typename Message>
awaitable<bool> send(call& asked, const Message& message, more then = more::no) {
    return asked.write(message_bytes(message), then);
}

// The last message of a call that ends with OK.
template <typename Message>
void reply(call& asked, const Message& message) {
    asked.write_last(message_bytes(message));
}

// Serves a unary method: `answer(call&, Request) -> awaitable<rpc_result<Response>>`, copied.
template <typename Request, typename Response, typename Answer>
awaitable<rpc_status> serve_unary(call& asked, Answer answer) {
    auto request = co_await receive_only<Request>(asked);
    if (!request) {
        co_return std::move(request.error());
    }
    const accepted_work work(asked);
    rpc_result<Response> response = co_await answer(asked, std::move(*request));
    if (!response) {
        co_return std::move(response.error());
    }
    reply(asked, *response);
    co_return rpc_status{};
}

template <typename Request, typename Response, typename Answer>
handler unary(Answer answer) {
    return [answer = std::move(answer)](call& asked) {
        return serve_unary<Request, Response>(asked, answer);
    };
}

// The same for a member function; `service` (a pointer, owning or not) is copied.
template <typename Pointer, typename Service, typename Request, typename Response>
handler unary(Pointer service, awaitable<rpc_result<Response>> (Service::*answer)(call&, Request)) {
    return unary<Request, Response>(
        [service = std::move(service), answer](call& asked, Request request) {
            return ((*service).*answer)(asked, std::move(request));
        });
}

// Serves a unary method whose request says nothing: it is not even read.
template <typename Response, typename Answer>
awaitable<rpc_status> serve_unasked(call& asked, Answer answer) {
    rpc_result<Response> response = co_await answer(asked);
    if (!response) {
        co_return std::move(response.error());
    }
    reply(asked, *response);
    co_return rpc_status{};
}

template <typename Response, typename Answer>
handler unasked(Answer answer) {
    return [answer = std::move(answer)](call& asked) {
        return serve_unasked<Response>(asked, answer);
    };
}

} // namespace immortal::esdb
