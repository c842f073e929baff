#pragma once

#include <string>

namespace magpie::tools {

struct config_command {
    enum class action { explain, check, example };

    action what = action::explain;
    std::string file{};  // to check, or to explain; empty: the one that MAGPIE_CONFIG names, if any
    bool json = false;

    // Throws config_error for a configuration that cannot be used.
    int run() const;
};

}  // namespace magpie::tools
