#pragma once

#include <magpie/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>

namespace magpie::tools {

// One question about the runtime's speed. A measurement runs `operations` operations and gives the time of all; it throws
// std::system_error or std::bad_expected_access where the event loop cannot do it.
struct bench_case {
    using measurement = task<std::chrono::nanoseconds> (*)(std::size_t operations);

    std::string_view group;  // nop, timer, spawn, echo
    std::string_view name;
    std::size_t operations;
    measurement measure;
    std::string_view reference_name = {};  // what it is compared with in the same run
    std::size_t reference_operations = 0;
    measurement measure_reference = nullptr;
};

std::span<bench_case const> bench_cases() noexcept;

}  // namespace magpie::tools
