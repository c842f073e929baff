#pragma once

#include <magpie/io/signals.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task.hpp>

#include <optional>

namespace magpie::tools {

// SIGHUP, as daemons know it: the configuration's file is read again, and what came of it is told on stderr. Without a
// file the signal does what it always does. From the moment this is made, before which the runtime must exist.
class reloader {
public:
    explicit reloader(magpie::runtime& rt);

    // Reloads at each signal, until it is cancelled.
    task<> run();

private:
    void reload() noexcept;

    magpie::runtime& runtime_;
    std::optional<io::signal_stream> signals_;
};

}  // namespace magpie::tools
