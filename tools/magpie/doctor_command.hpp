#pragma once

#include <string>

namespace magpie::tools {

struct doctor_command {
    std::string config_file{};
    bool json = false;

    // Looks at the machine, prints what magpie finds there and what could be better. 1 if it cannot run.
    int run() const;
};

}  // namespace magpie::tools
