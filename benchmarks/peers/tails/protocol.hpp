#pragma once

// What the servers of this folder are asked, for those in C++. A message is 64 bytes, of which the first says what to
// do; whatever it is, the answer comes after those to the messages before it on the same connection.
//
//   'H'  compute for 20 ms of CPU time, then send the message back
//   'B'  sleep for 200 ms in a blocking call, then send the message back
//   'L'  answer with 1 MiB of 'L'
//   else send the message back
//
// A server reads what there is, up to 16 KiB; it sends back as many light messages as it finds at a time, and does what
// a heavy one asks for in the handler, as code does whose author did not think of it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include <time.h>

namespace peers {

constexpr std::size_t message_size = 64;
constexpr std::size_t read_size = 16384;
constexpr std::size_t large_size = 1 << 20;
constexpr char burns = 'H';
constexpr char blocks = 'B';
constexpr char large = 'L';
constexpr char light = 'e';
constexpr std::chrono::nanoseconds burn_time = std::chrono::milliseconds(20);
constexpr std::chrono::nanoseconds block_time = std::chrono::milliseconds(200);

inline bool is_heavy(char kind) {
    return kind == burns || kind == blocks || kind == large;
}

inline std::chrono::nanoseconds cpu_time_of_thread() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

inline void burn() {
    constexpr int rounds = 2000;  // asking for the time is a system call
    auto const end = cpu_time_of_thread() + burn_time;
    std::uint64_t state = 88172645463325252;
    while (cpu_time_of_thread() < end) {
        for (int i = 0; i < rounds; ++i) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        asm volatile("" : "+r"(state));  // the compiler must not see that nobody needs it
    }
}

// Takes the next messages off `received`, does what they ask for, and gives what is to be sent; empty if there is no
// whole message.
inline std::string_view next_answer(std::string_view& received) {
    static std::string const large_answer(large_size, large);
    std::size_t end = 0;
    while (end + message_size <= received.size() && !is_heavy(received[end])) {
        end += message_size;
    }
    if (end == 0 && received.size() >= message_size) {
        end = message_size;
        if (received.front() == large) {
            received.remove_prefix(end);
            return large_answer;
        }
        received.front() == burns ? burn() : std::this_thread::sleep_for(block_time);
    }
    std::string_view const answer = received.substr(0, end);
    received.remove_prefix(end);
    return answer;
}

}  // namespace peers
