#pragma once

namespace magpie::tools {

// The program: reads the command line, runs the command, and gives the status to exit with (command_failure.hpp). What
// goes wrong is one sentence on stderr, and with --json {"error": "..."} on stdout too.
int run_program(int argc, char const* const* argv);

}  // namespace magpie::tools
