#pragma once

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/driver.hpp>

#include <memory>

namespace magpie::io {

// The event loop of one worker, as settings.io asks for. With backend "auto" and a kernel that refuses io_uring it is
// the poll loop, and one line on stderr says why, once per process. Throws std::system_error.
std::unique_ptr<driver> make_loop(config const& settings, unsigned index);

}  // namespace magpie::io
