// For tests: requests that must be refused.
#pragma once

#include <string>
#include <vector>

namespace immortal::api::testing {

inline const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";

// Each shape might be framed differently by another program on the way.
inline std::vector<std::string> contradicting_lengths() {
    return {
        post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        post + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
        post + "Content-Length: 4, 4\r\n\r\nabcd",
        post + "Content-Length: 4,5\r\n\r\nabcd",
        post + "Content-Length: +4\r\n\r\nabcd",
        post + "Content-Length: -4\r\n\r\nabcd",
        post + "Content-Length: 0x4\r\n\r\nabcd",
        post + "Content-Length: 4 5\r\n\r\nabcd",
        post + "Content-Length: 4.0\r\n\r\nabcd",
        post + "Content-Length:\r\n\r\n",
        post + "Content-Length: 99999999999999999999999\r\n\r\nabcd",
        post + "Content-Length : 4\r\n\r\nabcd",
        post + " Content-Length: 4\r\n\r\nabcd",
        post + "Content-Length\t: 4\r\n\r\nabcd",
        post + "Content-Length: 4\r\n , 5\r\n\r\nabcd",
        post + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding:\x0b"
               "chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "X: y\r\n\x01Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer_Encoding\x00: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
}

inline std::vector<std::string> broken_syntax() {
    return {
        post + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1;x=\"\r\na\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 50\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nNo colon here\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + std::string(20, '\x03'),
    };
}

} // namespace immortal::api::testing
