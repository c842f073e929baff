#pragma once

#include <magpie/combinators/limiter.hpp>

#include <string_view>

namespace magpie {

// The limits that the config names:
//
//   co_await batch(urls, fetch, {.limit = limits["upstream"]});
//   auto const place = co_await limits["upstream"].acquire();
//
// In a task, its runtime's: made from config.limits when the first one is asked for, and alive as long as the runtime;
// so a name means the same limiter for all its tasks, and another one in another runtime. runtime::reload() changes them
// while they are in use. A permit has to be given back before the runtime is destroyed. Finding one takes a lock: who asks
// often keeps the reference. Throws usage_error if there is no limit of that name, and outside a runtime.
class limit_names {
public:
    limiter& operator[](std::string_view name) const;
};

inline constexpr limit_names limits{};

}  // namespace magpie
