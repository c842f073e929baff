#pragma once

#include <magpie/runtime/runtime.hpp>

namespace magpie::bench {

// A runtime with so many workers, everything else as a user gets it.
inline config with_workers(unsigned count) {
    config settings;
    settings.workers = count;
    return settings;
}

} // namespace magpie::bench
