#include "http_head_reader.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace magpie::tools {

namespace {

constexpr std::size_t largest_store_kept = 2048;

constexpr bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// The first byte of the eight that is a control character, 8 if none is. Eight at a time, because this pass looks at
// every byte of every head: a byte below 0x20 borrows from its top bit when 0x20 is taken away, and a byte equal to
// 0x7f does when it is turned to zero and one is taken away. Borrows run upwards only, so the lowest hit is exact.
std::size_t first_control_of_eight(char const* bytes) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t tops = ones * 0x80;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    std::uint64_t const deleted = word ^ (ones * 0x7f);
    std::uint64_t const hits = (((word - ones * 0x20) & ~word) | ((deleted - ones) & ~deleted)) & tops;
    return static_cast<std::size_t>(std::countr_zero(hits)) / 8;
}

// The first control character other than the tab in [from, stop) of text, or stop.
std::size_t find_control(std::string_view text, std::size_t from, std::size_t stop) noexcept {
    while (from < stop) {
        if constexpr (std::endian::native == std::endian::little) {
            if (stop - from >= 8) {
                std::size_t const clean = first_control_of_eight(text.data() + from);
                from += clean;
                if (clean == 8) {
                    continue;
                }
            }
        }
        if (is_control(text[from]) && text[from] != '\t') {
            return from;
        }
        ++from;
    }
    return stop;
}

}  // namespace

void http_head_reader::feed(std::string_view bytes) noexcept {
    assert(input_.empty());
    input_ = bytes;
    if (!stored_) {
        head_ = bytes.data();
    }
}

void http_head_reader::begin() noexcept {
    if (store_.capacity() > largest_store_kept) {
        store_ = std::string();
    }
    store_.clear();
    stored_ = false;
    head_ = input_.data();
    line_begin_ = 0;
    scan_ = 0;
    line_ = {};
}

http_head_reader::result http_head_reader::next_line(std::size_t limit) {
    for (;;) {
        std::string_view const head = stored_ ? std::string_view(store_) : input_;
        std::size_t const stop = std::min(head.size(), line_begin_ + limit);
        scan_ = find_control(head, scan_, stop);
        if (scan_ < stop && head[scan_] != '\r') {
            return result::malformed;
        }
        if (scan_ + 1 < stop) {
            if (head[scan_ + 1] != '\n') {
                return result::malformed;
            }
            line_ = {static_cast<std::uint32_t>(line_begin_), static_cast<std::uint32_t>(scan_ - line_begin_)};
            scan_ += 2;
            line_begin_ = scan_;
            return result::line;
        }
        if (stop == line_begin_ + limit) {
            return result::too_long;
        }
        if (!pull(limit)) {
            return result::more;
        }
    }
}

// Moves on from the caller's bytes to the store, or adds to the store up to the next LF: never what lies behind the
// head, never more than the limit. False when there is nothing to look at before the next feed().
bool http_head_reader::pull(std::size_t limit) {
    if (input_.empty()) {
        return false;
    }
    if (!stored_) {
        store_.assign(input_);
        stored_ = true;
        input_ = {};
        return false;
    }
    std::size_t const newline = input_.find('\n');
    std::size_t const wanted = newline == std::string_view::npos ? input_.size() : newline + 1;
    std::size_t const taken = std::min(wanted, line_begin_ + limit - store_.size());
    store_.append(input_.substr(0, taken));
    input_.remove_prefix(taken);
    return true;
}

void http_head_reader::end_head() noexcept {
    if (!stored_) {
        input_.remove_prefix(line_begin_);
    }
}

void http_head_reader::keep() {
    if (!stored_) {
        store_.assign(head_, line_begin_);
        stored_ = true;
    }
}

}  // namespace magpie::tools
