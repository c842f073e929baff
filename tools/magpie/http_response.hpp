#pragma once

// The client's side of HTTP/1.1: responses out of a stream of bytes, as they come, each verified to its last byte.
//
//   status_line --line--> fields --empty line--> body --all skipped--> (response) --next()--> status_line
//       ^                   |
//       +------- 1xx -------+                    any of them --> failed, for good: close the connection
//
// `body` is passed through at once when there is none: an answer to HEAD, 204, 304, a length of 0. A body without a
// length ends with the stream (RFC 9112 section 6.3).

#include "chunked_decoder.hpp"
#include "http_head_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace magpie::tools {

struct http_response_limits {
    std::size_t status_line = 8 * 1024;  // bytes with CRLF
    std::size_t fields = 64 * 1024;      // bytes of all fields with their CRLF, and again of a trailer
    std::uint64_t body = std::numeric_limits<std::uint64_t>::max();
};

struct http_response {
    int status = 0;                 // 200 ... 599; interim responses are skipped
    std::uint64_t body_length = 0;  // bytes received; of an answer to HEAD 0
    int minor_version = 1;
    bool keep_alive = true;  // the connection may carry the next request
};

enum class http_response_event : std::uint8_t {
    more,      // every byte given has been used; feed() the next, or end_of_stream()
    response,  // response() is the next one, complete
    error,     // error_text(); the stream is lost
};

// For one connection; used by one thread at a time. Same rules as http_parser.
class http_response_parser {
public:
    explicit http_response_parser(http_response_limits limits = {}) noexcept;

    // Whether the next response answers a HEAD request, and so has no body whatever its fields say. To be said before
    // the response's first byte is fed; holds for all that follow, until said otherwise.
    void expect_head_response(bool expected) noexcept { head_response_ = expected; }

    // The next bytes of the stream; only at the start or after `more`. They must stay in place until next() says
    // `more` again.
    void feed(std::string_view bytes) noexcept;

    http_response_event next();

    // The peer has closed: `response` if that ends the body of one, `error` in the midst of one, `more` when idle().
    http_response_event end_of_stream() noexcept;

    // After `response`.
    http_response response() const noexcept;

    // After `error`: a short kind, fit for counting by: "malformed response", "response too large",
    // "truncated response".
    std::string_view error_text() const noexcept { return error_text_; }

    // True between two responses: no byte of the next one has been given.
    bool idle() const noexcept;

private:
    enum class state : std::uint8_t { status_line, fields, body, reported, failed };
    enum class framing : std::uint8_t { length, chunked, until_close };

    // What the head says, forgotten at the next response.
    struct head {
        std::uint64_t content_length = 0;
        std::size_t field_bytes = 0;
        int status = 0;
        int minor_version = 1;
        bool has_content_length = false;
        bool has_transfer_encoding = false;
        bool chunked_last = false;
        bool says_close = false;
        bool says_keep_alive = false;
    };

    http_response_event read_line(std::size_t limit, std::string_view& line);
    http_response_event read_head();
    http_response_event skip_body() noexcept;
    void begin_response() noexcept;
    void begin_body() noexcept;
    bool parse_status_line(std::string_view line) noexcept;
    bool parse_field(std::string_view line) noexcept;
    bool parse_framing_field(std::string_view name, std::string_view value) noexcept;
    bool has_no_body() const noexcept;
    http_response_event fail(char const* why) noexcept;

    http_response_limits limits_;
    http_head_reader reader_;
    chunked_decoder chunks_;
    head head_;
    std::uint64_t body_length_ = 0;  // skipped so far, unless chunked
    state state_ = state::reported;
    framing framing_ = framing::length;
    bool head_response_ = false;
    char const* error_text_ = "";
};

}  // namespace magpie::tools
