#pragma once

// The server's side of HTTP/1.1: requests out of a stream of bytes, as they come.
//
//   request_line --line--> fields --empty line--> body --all skipped--> (request) --next()--> request_line
//        |                   |                      |
//        +-------------------+----------------------+--> failed, for good: answer error_status() and close
//
// `body` is passed through at once when there is none. A request is reported when its body has been skipped, so that an
// answer never overtakes what the client is still sending; what is refused for its length is refused at its head.
// Framing that two readers could understand differently is refused: both Content-Length and Transfer-Encoding, a second
// Content-Length, a bare CR or LF, folded fields, a space before a colon (RFC 9112 sections 2.2, 5, 6 and 11.2).

#include "chunked_decoder.hpp"
#include "http_head_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

struct http_limits {
    std::size_t request_line = 8 * 1024;  // bytes with CRLF; 414 beyond
    std::size_t fields = 16 * 1024;       // bytes of all fields with their CRLF, and again of a trailer; 431 beyond
    std::size_t field_count = 100;        // 431 beyond
    std::uint64_t body = 1024 * 1024;     // bytes; 413 beyond
};

struct http_request {
    std::string_view method;
    std::string_view target;               // as sent
    std::string_view path;                 // without authority and query; "/" for http://host
    std::string_view query;                // behind the first '?'; not decoded
    std::optional<std::string_view> host;  // of an absolute target, else of the Host field
    std::uint64_t body_length = 0;         // what was skipped
    int minor_version = 1;                 // 0 or 1
    bool keep_alive = true;                // what the client allows
};

enum class http_event : std::uint8_t {
    more,             // every byte given has been used; feed() the next
    request,          // request() is the next one
    expect_continue,  // the client waits for `100 Continue` before it sends its body; go on with next()
    error,            // error_status(), error_text(); the stream is lost
};

// For one connection; used by one thread at a time. Allocates only for a request that is split over two feeds, and
// never more than the limits of a head.
//
//     parser.feed(bytes);
//     for (auto event = parser.next(); event != http_event::more; event = parser.next()) { ... }
class http_parser {
public:
    explicit http_parser(http_limits limits = {}) noexcept;

    // The next bytes of the stream; only at the start or after `more`. They must stay in place until next() says
    // `more` again.
    void feed(std::string_view bytes) noexcept;

    http_event next();

    // After `request`: copies what has been fed and not yet used to `store` and goes on from there, so that the bytes
    // fed may go; `store` must stay in place instead. Ends what request() gave.
    void move_input_to(std::string& store);

    // After `request`. Its texts point into the bytes fed or into the parser, and end with the next call of next().
    http_request request() const noexcept;

    // After `error`: 400, 413, 414, 431, 501 or 505, and why in half a sentence.
    int error_status() const noexcept { return error_status_; }
    std::string_view error_text() const noexcept { return error_text_; }

    // True between two requests: no byte of the next one has been given. A stream that ends here ends well.
    bool idle() const noexcept;

private:
    enum class state : std::uint8_t { request_line, fields, body, reported, failed };

    // What the head says, forgotten at the next request.
    struct head {
        http_slice method;
        http_slice target;
        http_slice path;
        http_slice query;
        http_slice host;
        std::uint64_t content_length = 0;
        std::size_t field_bytes = 0;
        std::size_t field_count = 0;
        int minor_version = 1;
        int empty_lines = 0;         // before the request line
        bool has_authority = false;  // in the target
        bool has_host_field = false;
        bool has_content_length = false;
        bool has_transfer_encoding = false;
        bool unknown_coding = false;
        bool chunked_last = false;
        bool coding_after_chunked = false;
        bool says_close = false;
        bool says_keep_alive = false;
        bool says_expect = false;
    };

    http_event read_request_line();
    http_event read_fields();
    http_event skip_body();
    http_event start_body();

    void begin_request() noexcept;
    void parse_request_line(std::string_view line);
    void parse_version(std::string_view version);
    void parse_target(std::string_view target);
    void parse_absolute_target(std::string_view rest);
    void split_target(std::string_view path_and_query);
    void parse_field(std::string_view line);
    void parse_host(std::string_view value);
    void parse_content_length(std::string_view value);
    void parse_transfer_encoding(std::string_view value);
    void parse_connection(std::string_view value);
    void check_framing();

    http_slice slice_of(std::string_view part) const noexcept;
    http_event fail(int status, char const* why) noexcept;
    bool failed() const noexcept { return state_ == state::failed; }

    http_limits limits_;
    http_head_reader reader_;
    chunked_decoder chunks_;
    head head_;
    std::uint64_t body_left_ = 0;  // of a body with a Content-Length
    state state_ = state::reported;
    int error_status_ = 0;
    char const* error_text_ = "";
};

}  // namespace magpie::tools
