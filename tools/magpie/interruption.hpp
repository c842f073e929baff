#pragma once

#include <magpie/io/signals.hpp>
#include <magpie/runtime/task.hpp>

#include <optional>

namespace magpie::tools {

// The wish of a person, or of who runs the program, that it should end: SIGINT (Ctrl-C) or SIGTERM, from the moment this
// is made. The first one asks; afterwards both signals do again what they did before: the second one kills.
class interruption {
public:
    interruption();

    // Waits for the first one, and gives its number. Once.
    task<int> wait();

private:
    std::optional<io::signal_stream> signals_;
};

}  // namespace magpie::tools
