#pragma once

#include <magpie/io/detail/request.hpp>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>

namespace magpie::io {

// What this machine's kernel allows this process to do, as far as this library is concerned.
struct capability_report {
    std::string kernel;             // its release: "6.1.0-18-amd64"
    bool io_uring = false;          // can be used
    std::string refused_because{};  // a clause, for people; empty if it can be used
    std::string remedy{};           // what can be done about that

    // Of io_uring; all false where it is refused.
    bool cooperative = false;   // completions do not interrupt the worker (COOP_TASKRUN, Linux 5.19)
    bool buffer_rings = false;  // the kernel chooses a buffer when something is received (5.19)
    std::bitset<256> operations{};

    // The poll backend serves the same sockets and files without any of it. False is very unusual.
    bool poll = false;

    // Limits that servers run into; -1: not known.
    std::int64_t open_files = -1;      // `ulimit -n`
    std::int64_t listen_backlog = -1;  // net.core.somaxconn

    bool supports(opcode code) const noexcept { return operations[static_cast<std::size_t>(code)]; }
    // A few lines for people.
    std::string to_string() const;
};

// Asks the kernel; takes some microseconds. Any thread. Throws std::bad_alloc.
capability_report capabilities();

}  // namespace magpie::io
