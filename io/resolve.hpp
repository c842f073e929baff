#pragma once

#include <magpie/io/endpoint.hpp>
#include <magpie/io/result.hpp>
#include <magpie/runtime/task.hpp>

#include <string>
#include <system_error>
#include <vector>

namespace magpie::io {

// The addresses of a host, in the order in which they should be tried (RFC 6724, as the system is configured), for TCP.
// `service` is a port number or a name from /etc/services. Asks the system's resolver (getaddrinfo) on the blocking
// pool; an address in figures needs no asking. The errors are in resolve_category(), or the system's.
//
// Cancelling abandons the question: the task is resumed at once, the pool's thread goes on until the resolver answers.
task<result<std::vector<endpoint>>> resolve(std::string host, std::string service);

// What getaddrinfo() reports: EAI_….
std::error_category const& resolve_category() noexcept;

}  // namespace magpie::io
