#pragma once

#include <magpie/runtime/config.hpp>

#include <optional>
#include <string>

namespace magpie::tools {

// The options that every command which runs tasks has.
struct runtime_options {
    std::string config_file{};          // empty: the one that MAGPIE_CONFIG names, if any
    std::optional<unsigned> workers{};  // 0: as many as there are CPUs to use
    std::optional<magpie::io_backend> backend{};
    bool json = false;   // a report for programs, on stdout
    bool quiet = false;  // no progress
};

// Defaults, file, environment, then the options; signals are left to the command. Throws config_error.
config settings_of(runtime_options const& options);

}  // namespace magpie::tools
