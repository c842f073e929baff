#include "http_response.hpp"

#include "http_syntax.hpp"

#include <algorithm>

namespace magpie::tools {

namespace {

constexpr char const* const malformed_response = "malformed response";
constexpr char const* const response_too_large = "response too large";
constexpr char const* const truncated_response = "truncated response";

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

}  // namespace

http_response_parser::http_response_parser(http_response_limits limits) noexcept
    : limits_(limits), chunks_(limits.body, limits.fields) {}

void http_response_parser::feed(std::string_view bytes) noexcept {
    if (state_ != state::failed) {
        reader_.feed(bytes);
    }
}

bool http_response_parser::idle() const noexcept {
    switch (state_) {
    case state::reported:
        return reader_.rest().empty();
    case state::status_line:
        return reader_.empty();
    default:
        return false;
    }
}

http_response_event http_response_parser::next() {
    if (state_ == state::reported) {
        begin_response();
    }
    if (state_ == state::status_line || state_ == state::fields) {
        if (http_response_event const event = read_head(); event != http_response_event::response) {
            return event;
        }
    }
    return state_ == state::failed ? http_response_event::error : skip_body();
}

http_response_event http_response_parser::end_of_stream() noexcept {
    if (state_ == state::failed) {
        return http_response_event::error;
    }
    if (idle()) {
        return http_response_event::more;
    }
    if (state_ == state::body && framing_ == framing::until_close) {
        state_ = state::reported;
        return http_response_event::response;
    }
    return fail(truncated_response);
}

void http_response_parser::begin_response() noexcept {
    reader_.begin();
    head_ = {};
    state_ = state::status_line;
}

// `response`: there is a line.
http_response_event http_response_parser::read_line(std::size_t limit, std::string_view& line) {
    switch (reader_.next_line(limit)) {
    case http_head_reader::result::more:
        return http_response_event::more;
    case http_head_reader::result::too_long:
        return fail(response_too_large);
    case http_head_reader::result::malformed:
        return fail(malformed_response);
    case http_head_reader::result::line:
        break;
    }
    line = reader_.text(reader_.line());
    return http_response_event::response;
}

// `response`: the head of a final response has been read.
http_response_event http_response_parser::read_head() {
    for (;;) {
        std::string_view line;
        bool const status_line = state_ == state::status_line;
        std::size_t const limit = status_line ? limits_.status_line : limits_.fields - head_.field_bytes;
        if (http_response_event const event = read_line(limit, line); event != http_response_event::response) {
            return event;
        }
        if (status_line) {
            if (!parse_status_line(line)) {
                return fail(malformed_response);
            }
            state_ = state::fields;
            continue;
        }
        head_.field_bytes += line.size() + 2;
        if (!line.empty()) {
            if (!parse_field(line)) {
                return fail(malformed_response);
            }
            continue;
        }
        reader_.end_head();
        if (head_.status < 200) {  // interim: the answer is still to come
            begin_response();
            continue;
        }
        if (head_.has_content_length && head_.has_transfer_encoding) {
            return fail(malformed_response);
        }
        begin_body();
        return http_response_event::response;
    }
}

bool http_response_parser::parse_status_line(std::string_view line) noexcept {
    // HTTP/1.1 200 OK; some servers leave out the phrase and the space before it.
    if (line.size() < 12 || !line.starts_with("HTTP/1.") || !is_digit(line[7]) || line[8] != ' ' ||
        (line.size() > 12 && line[12] != ' ')) {
        return false;
    }
    head_.minor_version = line[7] == '0' ? 0 : 1;
    int status = 0;
    for (char const c : line.substr(9, 3)) {
        if (!is_digit(c)) {
            return false;
        }
        status = status * 10 + (c - '0');
    }
    head_.status = status;
    // 101 would hand the connection over to a protocol that nobody here has asked for.
    return status >= 100 && status < 600 && status != 101;
}

bool http_response_parser::parse_field(std::string_view line) noexcept {
    auto const field = split_field(line);
    if (!field) {
        return false;
    }
    if (equals_ignoring_case(field->name, "connection")) {
        for_each_element(field->value, [this](std::string_view option) {
            head_.says_close = head_.says_close || equals_ignoring_case(option, "close");
            head_.says_keep_alive = head_.says_keep_alive || equals_ignoring_case(option, "keep-alive");
        });
        return true;
    }
    return parse_framing_field(field->name, field->value);
}

bool http_response_parser::parse_framing_field(std::string_view name, std::string_view value) noexcept {
    if (equals_ignoring_case(name, "content-length")) {
        auto const length = parse_digits(value);
        if (!length || head_.has_content_length) {
            return false;
        }
        head_.has_content_length = true;
        head_.content_length = *length;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
        head_.has_transfer_encoding = true;
        for_each_element(
            value, [this](std::string_view coding) { head_.chunked_last = equals_ignoring_case(coding, "chunked"); });
    }
    return true;
}

bool http_response_parser::has_no_body() const noexcept {
    return head_response_ || head_.status == 204 || head_.status == 304;
}

void http_response_parser::begin_body() noexcept {
    state_ = state::body;
    body_length_ = 0;
    if (has_no_body()) {
        framing_ = framing::length;
        head_.content_length = 0;
    } else if (head_.chunked_last) {
        framing_ = framing::chunked;
        chunks_ = chunked_decoder(limits_.body, limits_.fields);
    } else if (head_.has_content_length) {
        framing_ = framing::length;
    } else {
        framing_ = framing::until_close;
    }
}

http_response_event http_response_parser::skip_body() noexcept {
    if (framing_ == framing::chunked) {
        std::string_view rest = reader_.rest();
        auto const outcome = chunks_.consume(rest);
        reader_.skip(reader_.rest().size() - rest.size());
        if (outcome == chunked_decoder::result::more) {
            return http_response_event::more;
        }
        if (outcome != chunked_decoder::result::complete) {
            return fail(outcome == chunked_decoder::result::malformed ? malformed_response : response_too_large);
        }
        state_ = state::reported;
        return http_response_event::response;
    }
    std::uint64_t const allowed = framing_ == framing::length ? head_.content_length : limits_.body;
    if (allowed > limits_.body) {
        return fail(response_too_large);
    }
    auto const taken = static_cast<std::size_t>(std::min<std::uint64_t>(allowed - body_length_, reader_.rest().size()));
    reader_.skip(taken);
    body_length_ += taken;
    if (framing_ == framing::until_close) {
        return reader_.rest().empty() ? http_response_event::more : fail(response_too_large);
    }
    if (body_length_ < allowed) {
        return http_response_event::more;
    }
    state_ = state::reported;
    return http_response_event::response;
}

http_response http_response_parser::response() const noexcept {
    http_response response;
    response.status = head_.status;
    response.body_length = framing_ == framing::chunked ? chunks_.length() : body_length_;
    response.minor_version = head_.minor_version;
    response.keep_alive =
        framing_ != framing::until_close && !head_.says_close && (head_.minor_version == 1 || head_.says_keep_alive);
    return response;
}

http_response_event http_response_parser::fail(char const* why) noexcept {
    state_ = state::failed;
    error_text_ = why;
    return http_response_event::error;
}

}  // namespace magpie::tools
