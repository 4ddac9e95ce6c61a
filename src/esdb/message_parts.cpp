#include "esdb/message_parts.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

namespace immortal::esdb {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

constexpr int depth_max = 64;

class part_counter {
public:
    part_counter(google::protobuf::io::CodedInputStream& in, std::size_t parts_max)
        : in_(in), parts_max_(parts_max) {}

    // To the end of the message that the stream is limited to.
    bool look_over(const Descriptor& type, int depth) {
        while (const std::uint32_t tag = in_.ReadTag()) {
            const auto* const field =
                type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
            const bool sized =
                WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
            const bool entered =
                sized && field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE;
            if ((entered || (field != nullptr && field->is_repeated())) && ++count_ > parts_max_) {
                return false;
            }
            if (entered ? !enter(*field->message_type(), depth)
                        : !WireFormatLite::SkipField(&in_, tag)) {
                return false;
            }
        }
        return in_.ConsumedEntireMessage();
    }

    [[nodiscard]] std::size_t count() const { return count_; }

private:
    bool enter(const Descriptor& type, int depth) {
        int size = 0;
        if (depth >= depth_max || !in_.ReadVarintSizeAsInt(&size)) {
            return false;
        }
        const auto outer = in_.PushLimit(size);
        const bool fine = look_over(type, depth + 1);
        in_.PopLimit(outer);
        return fine;
    }

    google::protobuf::io::CodedInputStream& in_;
    const std::size_t parts_max_;
    std::size_t count_ = 0;
};

} // namespace

std::optional<std::size_t> count_parts(google::protobuf::io::ZeroCopyInputStream& bytes,
                                       const Descriptor& type, std::size_t parts_max) {
    google::protobuf::io::CodedInputStream in(&bytes);
    part_counter counter(in, parts_max);
    const bool whole = counter.look_over(type, 0);
    return whole || counter.count() > parts_max ? std::optional(counter.count()) : std::nullopt;
}

} // namespace immortal::esdb
