#include "file_limit.hpp"

#include "number_text.hpp"

#include <fmt/format.h>

#include <limits>

#include <sys/resource.h>

namespace magpie::tools {

std::size_t descriptors_beside_connections(unsigned workers) noexcept {
    constexpr std::size_t each_worker = 3;
    constexpr std::size_t process = 32;
    return process + each_worker * workers;
}

std::size_t raise_file_limit() noexcept {
    constexpr auto unlimited = std::numeric_limits<std::size_t>::max();
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return unlimited;  // open() will tell
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlimit const raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    return limit.rlim_cur == RLIM_INFINITY ? unlimited : static_cast<std::size_t>(limit.rlim_cur);
}

std::string too_few_files(std::size_t connections, std::size_t limit, unsigned workers) {
    std::size_t const needed = connections + descriptors_beside_connections(workers);
    return fmt::format(
        "{} connections need {} open files, and this process may have {} (its hard limit); raise it with "
        "`ulimit -Hn {}` as root, with LimitNOFILE= in a systemd unit, or ask for fewer connections",
        format_count(connections), format_count(needed), format_count(limit), needed);
}

}  // namespace magpie::tools
