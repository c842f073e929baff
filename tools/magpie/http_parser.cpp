#include "http_parser.hpp"

#include "http_syntax.hpp"

#include <algorithm>
#include <utility>

namespace magpie::tools {

namespace {

// Some clients send a CRLF after a body that is not counted in it (RFC 9112 section 2.2), people press return twice.
constexpr int empty_lines_forgiven = 4;

constexpr char const* const bad_bytes = "a control character, or a line that does not end in CRLF";

}  // namespace

http_parser::http_parser(http_limits limits) noexcept : limits_(limits), chunks_(limits.body, limits.fields) {}

void http_parser::feed(std::string_view bytes) noexcept {
    if (!failed()) {
        reader_.feed(bytes);
    }
}

void http_parser::move_input_to(std::string& store) {
    std::string rest(reader_.rest());  // which may lie in `store`
    store = std::move(rest);
    reader_.move_rest(store);
}

bool http_parser::idle() const noexcept {
    switch (state_) {
    case state::reported:
        return reader_.rest().empty();
    case state::request_line:
        return reader_.empty();
    default:
        return false;
    }
}

http_event http_parser::next() {
    if (state_ == state::reported) {
        begin_request();
    }
    if (state_ == state::request_line) {
        if (http_event const event = read_request_line(); event != http_event::request) {
            return event;
        }
    }
    if (state_ == state::fields) {
        if (http_event const event = read_fields(); event != http_event::request) {
            return event;
        }
        if (http_event const event = start_body(); event != http_event::request) {
            return event;
        }
    }
    return failed() ? http_event::error : skip_body();
}

void http_parser::begin_request() noexcept {
    reader_.begin();
    head_ = {};
    state_ = state::request_line;
}

// `request`: the line has been read.
http_event http_parser::read_request_line() {
    using line_result = http_head_reader::result;
    for (;;) {
        switch (reader_.next_line(limits_.request_line)) {
        case line_result::more:
            return http_event::more;
        case line_result::too_long:
            return fail(414, "the request line is too long");
        case line_result::malformed:
            return fail(400, bad_bytes);
        case line_result::line:
            break;
        }
        std::string_view const line = reader_.text(reader_.line());
        if (!line.empty()) {
            state_ = state::fields;
            parse_request_line(line);
            return failed() ? http_event::error : http_event::request;
        }
        if (++head_.empty_lines > empty_lines_forgiven) {
            return fail(400, "empty lines in place of a request");
        }
        // The next line is to be the first of the head.
        reader_.end_head();
        reader_.begin();
    }
}

// `request`: the empty line has been read, and what the fields say together is sound.
http_event http_parser::read_fields() {
    using line_result = http_head_reader::result;
    for (;;) {
        switch (reader_.next_line(limits_.fields - head_.field_bytes)) {
        case line_result::more:
            return http_event::more;
        case line_result::too_long:
            return fail(431, "the header fields are too long");
        case line_result::malformed:
            return fail(400, bad_bytes);
        case line_result::line:
            break;
        }
        std::string_view const line = reader_.text(reader_.line());
        head_.field_bytes += line.size() + 2;
        if (line.empty()) {
            check_framing();
            return failed() ? http_event::error : http_event::request;
        }
        if (++head_.field_count > limits_.field_count) {
            return fail(431, "too many header fields");
        }
        parse_field(line);
        if (failed()) {
            return http_event::error;
        }
    }
}

void http_parser::parse_request_line(std::string_view line) {
    std::size_t const first = line.find(' ');
    std::size_t const last = line.rfind(' ');
    if (first == last) {  // none at all, too
        fail(400, "the request line is not METHOD TARGET VERSION");
        return;
    }
    std::string_view const method = line.substr(0, first);
    if (!is_token(method)) {
        fail(400, "the method is no token");
        return;
    }
    head_.method = slice_of(method);
    // The target first: it may not hold a space, so that `GET /a b HTTP/3.0` is malformed and no question of versions.
    parse_target(line.substr(first + 1, last - first - 1));
    if (!failed()) {
        parse_version(line.substr(last + 1));
    }
}

void http_parser::parse_version(std::string_view version) {
    auto const is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7])) {
        fail(400, "the version is not HTTP/x.y");
        return;
    }
    if (version[5] != '1') {
        fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        return;
    }
    // A later minor version understands what 1.1 does (RFC 9110 section 2.5).
    head_.minor_version = version[7] == '0' ? 0 : 1;
}

void http_parser::parse_target(std::string_view target) {
    if (target.empty() || !all_of_class(target, http_syntax::target_char)) {
        fail(400, "the target is empty or holds a character that is not allowed in one");
        return;
    }
    head_.target = slice_of(target);
    std::string_view const method = reader_.text(head_.method);
    if (target.front() == '/') {
        split_target(target);
    } else if (equals_ignoring_case(target.substr(0, 7), "http://")) {
        parse_absolute_target(target.substr(7));
    } else if (equals_ignoring_case(target.substr(0, 8), "https://")) {
        parse_absolute_target(target.substr(8));
    } else if ((target == "*" && method == "OPTIONS") || method == "CONNECT") {
        head_.path = head_.target;
    } else {
        fail(400, "the target is neither a path nor an address");
    }
}

void http_parser::parse_absolute_target(std::string_view rest) {
    std::size_t const end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view const authority = rest.substr(0, end);
    if (authority.empty() || !all_of_class(authority, http_syntax::host_char)) {
        fail(400, "the target's host is malformed");
        return;
    }
    head_.has_authority = true;
    head_.host = slice_of(authority);
    split_target(rest.substr(end));
}

void http_parser::split_target(std::string_view path_and_query) {
    std::size_t const question = path_and_query.find('?');
    head_.path = slice_of(path_and_query.substr(0, question));
    if (question != std::string_view::npos) {
        head_.query = slice_of(path_and_query.substr(question + 1));
    }
}

void http_parser::parse_field(std::string_view line) {
    auto const field = split_field(line);
    if (!field) {
        fail(400, "a header field is malformed");
        return;
    }
    // By length first: of the few dozen fields that clients send, these are the ones that matter here.
    auto const named = [name = field->name](std::string_view lower) { return equals_ignoring_case(name, lower); };
    switch (field->name.size()) {
    case 4:
        if (named("host")) {
            parse_host(field->value);
        }
        break;
    case 6:
        if (named("expect") && equals_ignoring_case(field->value, "100-continue")) {
            head_.says_expect = true;
        }
        break;
    case 10:
        if (named("connection")) {
            parse_connection(field->value);
        }
        break;
    case 14:
        if (named("content-length")) {
            parse_content_length(field->value);
        }
        break;
    case 17:
        if (named("transfer-encoding")) {
            parse_transfer_encoding(field->value);
        }
        break;
    default:
        break;
    }
}

void http_parser::parse_host(std::string_view value) {
    if (head_.has_host_field) {
        fail(400, "two Host fields");
        return;
    }
    if (!all_of_class(value, http_syntax::host_char)) {
        fail(400, "the Host field is malformed");
        return;
    }
    head_.has_host_field = true;
    if (!head_.has_authority) {  // else the target's wins (RFC 9112 section 3.2.2)
        head_.host = slice_of(value);
    }
}

void http_parser::parse_content_length(std::string_view value) {
    auto const length = parse_digits(value);
    if (!length || head_.has_content_length) {
        fail(400, length ? "two Content-Length fields" : "the Content-Length is no number");
        return;
    }
    head_.has_content_length = true;
    head_.content_length = *length;
}

void http_parser::parse_transfer_encoding(std::string_view value) {
    head_.has_transfer_encoding = true;
    for_each_element(value, [this](std::string_view coding) {
        head_.coding_after_chunked = head_.coding_after_chunked || head_.chunked_last;
        head_.chunked_last = equals_ignoring_case(coding, "chunked");
        head_.unknown_coding = head_.unknown_coding || !head_.chunked_last;
    });
}

void http_parser::parse_connection(std::string_view value) {
    for_each_element(value, [this](std::string_view option) {
        head_.says_close = head_.says_close || equals_ignoring_case(option, "close");
        head_.says_keep_alive = head_.says_keep_alive || equals_ignoring_case(option, "keep-alive");
    });
}

void http_parser::check_framing() {
    if (head_.minor_version == 1 && !head_.has_host_field) {
        fail(400, "the Host field is missing");
    } else if (head_.has_transfer_encoding && head_.has_content_length) {
        fail(400, "both Content-Length and Transfer-Encoding");
    } else if (head_.has_transfer_encoding && head_.minor_version == 0) {
        fail(400, "HTTP/1.0 knows no Transfer-Encoding");
    } else if (head_.coding_after_chunked) {  // then the end of the body is not to be found
        fail(400, "chunked is not the last transfer coding");
    } else if (head_.unknown_coding) {
        fail(501, "the only transfer coding known here is chunked");
    } else if (head_.has_transfer_encoding && !head_.chunked_last) {
        fail(400, "an empty Transfer-Encoding");
    } else if (head_.content_length > limits_.body) {
        fail(413, "the body is too large");
    }
}

// `request`: go on with the body. `expect_continue`: the same, at the next call.
http_event http_parser::start_body() {
    reader_.end_head();
    state_ = state::body;
    body_left_ = head_.content_length;
    if (head_.has_transfer_encoding) {
        chunks_ = chunked_decoder(limits_.body, limits_.fields);
    }
    bool const has_body = head_.has_transfer_encoding || body_left_ > 0;
    // A client that sends its body already does not wait (RFC 9110 section 10.1.1).
    if (head_.says_expect && head_.minor_version == 1 && has_body && reader_.rest().empty()) {
        reader_.keep();
        return http_event::expect_continue;
    }
    return http_event::request;
}

http_event http_parser::skip_body() {
    bool complete = false;
    if (head_.has_transfer_encoding) {
        std::string_view rest = reader_.rest();
        auto const outcome = chunks_.consume(rest);
        reader_.skip(reader_.rest().size() - rest.size());
        switch (outcome) {
        case chunked_decoder::result::malformed:
            return fail(400, "the chunked body is malformed");
        case chunked_decoder::result::body_too_large:
            return fail(413, "the body is too large");
        case chunked_decoder::result::trailer_too_large:
            return fail(431, "the trailer fields are too long");
        case chunked_decoder::result::more:
        case chunked_decoder::result::complete:
            complete = outcome == chunked_decoder::result::complete;
        }
    } else {
        auto const taken = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, reader_.rest().size()));
        reader_.skip(taken);
        body_left_ -= taken;
        complete = body_left_ == 0;
    }
    if (!complete) {
        reader_.keep();  // the head must outlive the bytes it came in
        return http_event::more;
    }
    state_ = state::reported;
    return http_event::request;
}

http_request http_parser::request() const noexcept {
    http_request request;
    request.method = reader_.text(head_.method);
    request.target = reader_.text(head_.target);
    request.path = head_.path.length == 0 ? std::string_view("/") : reader_.text(head_.path);
    request.query = reader_.text(head_.query);
    if (head_.has_authority || head_.has_host_field) {
        request.host = reader_.text(head_.host);
    }
    request.body_length = head_.has_transfer_encoding ? chunks_.length() : head_.content_length;
    request.minor_version = head_.minor_version;
    request.keep_alive = !head_.says_close && (head_.minor_version == 1 || head_.says_keep_alive);
    return request;
}

http_slice http_parser::slice_of(std::string_view part) const noexcept {
    char const* const start = reader_.text({}).data();
    return {static_cast<std::uint32_t>(part.data() - start), static_cast<std::uint32_t>(part.size())};
}

http_event http_parser::fail(int status, char const* why) noexcept {
    state_ = state::failed;
    error_status_ = status;
    error_text_ = why;
    return http_event::error;
}

}  // namespace magpie::tools
