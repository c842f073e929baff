#pragma once

// The limits of section [limits], as the runtime sees them. What a limit is, combinators/ knows: it makes the object
// when somebody asks for the first one, and the runtime keeps it, tells it of a reload, and shows its numbers.

#include <magpie/runtime/config.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace magpie {
struct limit_metrics;
}

namespace magpie::detail {

using limit_settings = std::map<std::string, limit_config, std::less<>>;

// One runtime's. Any thread. Lives until the runtime's workers have ended.
class named_limits {
public:
    named_limits() = default;
    named_limits(named_limits const&) = delete;
    named_limits& operator=(named_limits const&) = delete;
    virtual ~named_limits() = default;

    // Sets the limits of these names, and adds those that are new; others stay as they are.
    virtual void apply(limit_settings const& settings) = 0;
    virtual std::vector<limit_metrics> look() const = 0;
};

// Of the runtime whose worker this thread is; made from its settings by the first call. Null on a foreign thread.
named_limits* current_named_limits(std::unique_ptr<named_limits> (*make)(limit_settings const&));

}  // namespace magpie::detail
