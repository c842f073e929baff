#pragma once

#include <cstddef>
#include <string>

namespace magpie::tools {

// How many descriptors the program needs beside its connections: loops, signals, standard streams, some to spare.
std::size_t descriptors_beside_connections(unsigned workers) noexcept;

// Raises the soft limit on open files (RLIMIT_NOFILE) to the hard one, and gives the limit that holds then.
std::size_t raise_file_limit() noexcept;

// What to tell who wants `connections` and may open only `limit` files: cause and remedy, a sentence.
std::string too_few_files(std::size_t connections, std::size_t limit, unsigned workers);

}  // namespace magpie::tools
