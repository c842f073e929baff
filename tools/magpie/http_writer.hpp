#pragma once

// Writes the server's responses and the load generator's requests.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

struct http_response_head {
    int status = 200;
    std::string_view content_type = "text/plain; charset=utf-8";  // left out when empty
    std::uint64_t content_length = 0;
    std::string_view allow = {};                     // for 405; left out when empty
    std::optional<std::chrono::sys_seconds> date{};  // left out when not given
    bool keep_alive = true;
    int minor_version = 1;  // of the request: a 1.0 client must be told of keep-alive
};

// "OK" for 200; "" for a status that is not known here.
std::string_view reason_phrase(int status) noexcept;

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). The years 0 to 9999.
void append_http_date(std::string& out, std::chrono::sys_seconds time);

// The status line, the fields and the empty line.
void append_response_head(std::string& out, http_response_head const& head);

// Head and body. content_length becomes the body's; an answer to HEAD keeps that length and leaves out the body.
void append_response(std::string& out, http_response_head head, std::string_view body, bool head_request = false);

// The interim answer to `Expect: 100-continue`.
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

// A request without a body. `host` is the value of the Host field (url::host_field()).
void append_request(std::string& out, std::string_view method, std::string_view target, std::string_view host,
                    bool keep_alive = true);

}  // namespace magpie::tools
