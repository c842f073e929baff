#pragma once

#include <stdexcept>
#include <string>

namespace magpie::tools {

// What the program tells who started it.
enum exit_status : int {
    exit_ok = 0,
    exit_failed = 1,  // it ran, or tried to, and something went wrong
    exit_usage = 2,   // the command line or a configuration cannot be used; nothing was started
};

// Ends the program with a sentence that names cause and remedy, on stderr.
class command_failure : public std::runtime_error {
public:
    command_failure(exit_status status, std::string const& sentence) : std::runtime_error(sentence), status_(status) {}

    exit_status status() const noexcept { return status_; }

private:
    exit_status status_;
};

}  // namespace magpie::tools
