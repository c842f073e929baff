#pragma once

#include <cstdint>
#include <string_view>
#include <system_error>

namespace magpie::tools {

// Why a request of a load run failed.
enum class load_error : std::uint8_t {
    refused,         // nobody listens there
    unreachable,     // no way to the host
    reset,           // the other side broke the connection
    closed,          // the other side closed the connection instead of answering
    timeout,         // no complete answer, or no connection, in time
    bad_status,      // a complete answer with another status than expected
    wrong_length,    // a complete answer with a body of another length than expected
    short_body,      // the connection ended in the midst of the answer
    malformed,       // no HTTP, or bytes that no request asked for
    too_many_files,  // this process may not open another socket
    no_local_port,   // this machine has no free port for another connection
    other,
};

// "refused", "bad_status", ...: fit for counting by.
std::string_view name_of(load_error error) noexcept;

// What an operation on a socket met.
load_error classify(std::error_code error) noexcept;

}  // namespace magpie::tools
