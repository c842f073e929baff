#include "runtime_options.hpp"

namespace magpie::tools {

config settings_of(runtime_options const& options) {
    config settings = options.config_file.empty() ? config::defaults() : config::load(options.config_file);
    if (options.workers) {
        settings.workers = *options.workers;
    }
    if (options.backend) {
        settings.io.backend = *options.backend;
    }
    settings.handle_sigint = false;
    settings.validate();
    return settings;
}

}  // namespace magpie::tools
