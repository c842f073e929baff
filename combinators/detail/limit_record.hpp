#pragma once

#include <magpie/runtime/detail/atomic.hpp>

#include <cstdint>

namespace magpie::detail {

// How the operations under a limit ended. Any thread.
class limit_record {
public:
    void add(bool succeeded) noexcept { (succeeded ? succeeded_ : failed_).fetch_add(1, mo_relaxed); }
    std::uint64_t succeeded() const noexcept { return succeeded_.load(mo_relaxed); }
    std::uint64_t failed() const noexcept { return failed_.load(mo_relaxed); }

private:
    atomic<std::uint64_t> succeeded_{0};
    atomic<std::uint64_t> failed_{0};
};

} // namespace magpie::detail
