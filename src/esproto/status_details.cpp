#include "esproto/status_details.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

namespace immortal::esproto {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

constexpr std::string_view type_prefix = "type.googleapis.com/";

constexpr std::uint32_t varint_tag(std::uint32_t field) {
    return field << 3u;
}
constexpr std::uint32_t bytes_tag(std::uint32_t field) {
    return field << 3u | 2u;
}

void write_bytes(CodedOutputStream& out, std::uint32_t field, std::string_view bytes) {
    out.WriteTag(bytes_tag(field));
    out.WriteVarint32(static_cast<std::uint32_t>(bytes.size()));
    out.WriteRaw(bytes.data(), static_cast<int>(bytes.size()));
}

bool read_bytes(CodedInputStream& in, std::string& bytes) {
    std::uint32_t size = 0;
    return in.ReadVarint32(&size) && in.ReadString(&bytes, static_cast<int>(size));
}

bool read_detail(std::string_view bytes, status_detail& detail) {
    CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                        static_cast<int>(bytes.size()));
    while (const std::uint32_t tag = in.ReadTag()) {
        if (tag == bytes_tag(1)) {
            if (!read_bytes(in, detail.type)) {
                return false;
            }
            if (const auto slash = detail.type.rfind('/'); slash != std::string::npos) {
                detail.type.erase(0, slash + 1);
            }
        } else if (tag == bytes_tag(2)) {
            if (!read_bytes(in, detail.value)) {
                return false;
            }
        } else if (!WireFormatLite::SkipField(&in, tag)) {
            return false;
        }
    }
    return in.ConsumedEntireMessage();
}

} // namespace

std::string encode(const status_details& status) {
    std::string bytes;
    StringOutputStream sink(&bytes);
    {
        CodedOutputStream out(&sink);
        out.WriteTag(varint_tag(1));
        out.WriteVarint32SignExtended(status.code);
        write_bytes(out, 2, status.message);
        for (const status_detail& detail : status.details) {
            std::string any;
            StringOutputStream any_sink(&any);
            {
                CodedOutputStream any_out(&any_sink);
                write_bytes(any_out, 1, std::string(type_prefix) + detail.type);
                write_bytes(any_out, 2, detail.value);
            }
            write_bytes(out, 3, any);
        }
    }
    return bytes;
}

std::optional<status_details> decode_status_details(std::string_view bytes) {
    CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                        static_cast<int>(bytes.size()));
    status_details status;
    while (const std::uint32_t tag = in.ReadTag()) {
        std::string piece;
        std::uint64_t code = 0;
        if (tag == varint_tag(1)) {
            if (!in.ReadVarint64(&code)) {
                return std::nullopt;
            }
            status.code = static_cast<std::int32_t>(code);
        } else if (tag == bytes_tag(2)) {
            if (!read_bytes(in, status.message)) {
                return std::nullopt;
            }
        } else if (tag == bytes_tag(3)) {
            status_detail detail;
            if (!read_bytes(in, piece) || !read_detail(piece, detail)) {
                return std::nullopt;
            }
            status.details.push_back(std::move(detail));
        } else if (!WireFormatLite::SkipField(&in, tag)) {
            return std::nullopt;
        }
    }
    return in.ConsumedEntireMessage() ? std::optional(std::move(status)) : std::nullopt;
}

} // namespace immortal::esproto
