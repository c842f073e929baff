#pragma once

#include <magpie/runtime/hooks.hpp>

namespace magpie::detail {

// Calls the hook, or prints one line on stderr if it is empty. What the hook throws is printed and dropped.
void tell(hook const& to, event_info const& info) noexcept;

} // namespace magpie::detail
