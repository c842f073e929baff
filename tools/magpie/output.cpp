#include "output.hpp"

#include "command_failure.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace magpie::tools {

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw command_failure(
            exit_failed, fmt::format("cannot write to standard output: {}", std::system_category().message(errno)));
    }
}

void print_json(nlohmann::ordered_json const& value, bool pretty) {
    constexpr int indent = 2;
    print(value.dump(pretty ? indent : -1) + "\n");
}

}  // namespace magpie::tools
