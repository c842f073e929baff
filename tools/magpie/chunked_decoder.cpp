#include "chunked_decoder.hpp"

#include "http_syntax.hpp"

#include <algorithm>

namespace magpie::tools {

namespace {

constexpr unsigned most_digits = 16;  // of a 64-bit size

constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}

// May stand in a chunk extension or a field value.
constexpr bool is_text(char c) noexcept {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

}  // namespace

chunked_decoder::result chunked_decoder::consume(std::string_view& bytes) noexcept {
    if (state_ == state::failed) {
        return failure_;
    }
    while (state_ != state::complete) {
        if (bytes.empty()) {
            return result::more;
        }
        result outcome = result::more;
        if (state_ == state::data) {
            outcome = take_data(bytes);
        } else {
            outcome = step(bytes.front());
            bytes.remove_prefix(1);
        }
        if (outcome != result::more) {
            state_ = state::failed;
            failure_ = outcome;
            return outcome;
        }
    }
    return result::complete;
}

chunked_decoder::result chunked_decoder::step(char c) noexcept {
    switch (state_) {
    case state::size:
        return size_digit(c);
    case state::size_blank:
    case state::extension:
        return after_size(c);
    case state::size_lf:
        return c == '\n' ? end_size_line() : result::malformed;
    case state::data_cr:
        return expect(c, '\r', state::data_lf);
    case state::data_lf:
        return expect(c, '\n', state::size);
    case state::value_lf:
        return expect(c, '\n', state::line_start);
    case state::end_lf:
        return expect(c, '\n', state::complete);
    default:
        return trailer(c);
    }
}

chunked_decoder::result chunked_decoder::expect(char c, char wanted, state next) noexcept {
    if (c != wanted) {
        return result::malformed;
    }
    state_ = next;
    return result::more;
}

chunked_decoder::result chunked_decoder::size_digit(char c) noexcept {
    int const digit = hex_value(c);
    if (digit < 0) {
        if (digits_ == 0) {
            return result::malformed;
        }
        state_ = state::size_blank;
        return after_size(c);
    }
    if (++digits_ > most_digits) {
        return result::malformed;
    }
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    return result::more;
}

chunked_decoder::result chunked_decoder::after_size(char c) noexcept {
    if (c == '\r') {
        state_ = state::size_lf;
        return result::more;
    }
    bool const allowed = state_ == state::extension ? is_text(c) : is_blank(c) || c == ';';
    if (!allowed) {
        return result::malformed;
    }
    if (c == ';') {
        state_ = state::extension;
    }
    return ++charged_ > body_limit_ ? result::body_too_large : result::more;
}

chunked_decoder::result chunked_decoder::end_size_line() noexcept {
    digits_ = 0;
    if (left_ == 0) {
        state_ = state::line_start;
        return result::more;
    }
    if (left_ > body_limit_ - charged_) {
        return result::body_too_large;
    }
    charged_ += left_;
    state_ = state::data;
    return result::more;
}

chunked_decoder::result chunked_decoder::take_data(std::string_view& bytes) noexcept {
    auto const taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    bytes.remove_prefix(taken);
    left_ -= taken;
    length_ += taken;
    if (left_ == 0) {
        state_ = state::data_cr;
    }
    return result::more;
}

chunked_decoder::result chunked_decoder::trailer(char c) noexcept {
    if (c == '\r' && (state_ == state::line_start || state_ == state::value)) {
        state_ = state_ == state::line_start ? state::end_lf : state::value_lf;
        return result::more;
    }
    if (++trailer_bytes_ > trailer_limit_) {
        return result::trailer_too_large;
    }
    if (state_ == state::value) {
        return is_text(c) ? result::more : result::malformed;
    }
    if (c == ':' && state_ == state::name) {
        state_ = state::value;
        return result::more;
    }
    state_ = state::name;
    return is_token({&c, 1}) ? result::more : result::malformed;
}

}  // namespace magpie::tools
