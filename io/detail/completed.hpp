#pragma once

#include <cstdint>

namespace magpie::detail {
class event_loop;
}

namespace magpie::io {

// How an operation ended.
struct completed {
    std::int32_t result = 0;             // a count, a descriptor, 0; or below zero a negated errno
    std::uint32_t flags = 0;             // of the completion queue entry: IORING_CQE_F_…
    detail::event_loop* home = nullptr;  // whose buffer it is, if the flags name one
};

}  // namespace magpie::io
