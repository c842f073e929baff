#pragma once

#include <string>

namespace magpie::detail {

// Why io_uring_setup() failed with `error`, and what can be done about it: a clause each, for people.
struct refusal {
    std::string cause;
    std::string remedy;
};
refusal explain_refusal(int error);

// The value of a number in /proc/sys; -1: there is none.
int kernel_setting(char const* path) noexcept;

}  // namespace magpie::detail
