#pragma once

// Skips a body in the chunked transfer coding (RFC 9112 section 7.1) and measures it.
//
//   size     1*16 HEXDIG          -> size_blank | extension | size_lf
//   size_blank  spaces            -> extension | size_lf
//   extension   up to the CR      -> size_lf
//   size_lf  LF                   -> data, or line_start after a size of 0
//   data     `left_` bytes        -> data_cr -> data_lf -> size
//   line_start  of a trailer      -> name -> value -> value_lf -> line_start, or end_lf at an empty line
//   end_lf   LF                   -> complete
//   failed   for good
//
// One byte moves it one state on, so it gives the same answer however the stream was cut. The trailer fields are
// checked and dropped.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace magpie::tools {

class chunked_decoder {
public:
    enum class result : std::uint8_t { more, complete, malformed, body_too_large, trailer_too_large };

    // body_limit: bytes of data and of chunk extensions together, else chunks of one byte with long extensions would
    // get past it. trailer_limit: bytes of all trailer fields.
    chunked_decoder(std::uint64_t body_limit, std::size_t trailer_limit) noexcept
        : body_limit_(body_limit), trailer_limit_(trailer_limit) {}

    // Takes what belongs to the body off the front of bytes. An error is final.
    result consume(std::string_view& bytes) noexcept;

    // Bytes of data so far.
    std::uint64_t length() const noexcept { return length_; }

private:
    enum class state : std::uint8_t {
        size,
        size_blank,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        line_start,
        name,
        value,
        value_lf,
        end_lf,
        complete,
        failed,
    };

    result step(char c) noexcept;
    result size_digit(char c) noexcept;
    result after_size(char c) noexcept;
    result end_size_line() noexcept;
    result trailer(char c) noexcept;
    result expect(char c, char wanted, state next) noexcept;
    result take_data(std::string_view& bytes) noexcept;

    std::uint64_t body_limit_;
    std::size_t trailer_limit_;
    std::uint64_t length_ = 0;   // data
    std::uint64_t charged_ = 0;  // data announced and extensions read: what body_limit_ is held against
    std::uint64_t left_ = 0;     // of the chunk: its size while it is read, then what is still to come
    std::size_t trailer_bytes_ = 0;
    unsigned digits_ = 0;  // of the chunk's size
    state state_ = state::size;
    result failure_ = result::malformed;
};

}  // namespace magpie::tools
