#pragma once

// What an echo server does besides echoing, by the first byte of a message: to measure what that does to the others.

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

// A message that begins with `first` takes its handler that much time.
struct time_rule {
    char first = 0;
    std::chrono::nanoseconds time{};
};

// A message that begins with `first` is answered with that many bytes, all of them `first`.
struct size_rule {
    char first = 0;
    std::size_t size = 0;
};

// A byte that two rules name is the first one's.
struct echo_rules {
    std::optional<time_rule> burn_on{};   // computes
    std::optional<time_rule> block_on{};  // sleeps in a system call, which holds the worker as any blocking call does
    std::optional<size_rule> reply_on{};  // answers at length
    std::optional<std::size_t> message_size{};  // what one message is; without it what one read brings

    bool any() const { return burn_on || block_on || reply_on || message_size; }
};

// BYTE:DURATION, where BYTE is a character or 0xNN: "x:5ms", "0xff:200us"; at most 10 s. The error is one sentence.
std::expected<time_rule, std::string> parse_time_rule(std::string_view text);

// BYTE:SIZE, where SIZE is as parse_bytes has it: "x:100", "0xff:64KiB"; at least 1 byte. The error is one sentence.
std::expected<size_rule, std::string> parse_size_rule(std::string_view text);

}  // namespace magpie::tools
