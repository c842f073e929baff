#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string_view>

namespace magpie::tools {

// Writes to stdout, at once: whoever waits for the text at the other end of a pipe gets it. Throws command_failure if
// that fails.
void print(std::string_view text);

// One line of JSON, or several for people when `pretty`.
void print_json(nlohmann::ordered_json const& value, bool pretty = false);

}  // namespace magpie::tools
