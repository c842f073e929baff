#include "reloader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

namespace magpie::tools {

reloader::reloader(magpie::runtime& rt) : runtime_(rt) {
    if (!rt.settings().file().empty()) {
        signals_.emplace({SIGHUP});
    }
}

task<> reloader::run() {
    if (!signals_) {
        co_return;
    }
    for (;;) {
        io::result<int> const number = co_await signals_->next();
        if (number) {
            reload();
        }
    }
}

// What stderr does not take is lost: a server does not end because of it.
void reloader::reload() noexcept {
    try {
        std::string said;
        try {
            reload_report const report = runtime_.reload();
            said = fmt::format("magpie: read {} again: {}\n", runtime_.settings().file(),
                               report.limits.empty() ? std::string("no limit has changed")
                                                     : fmt::format("new limits: {}", fmt::join(report.limits, ", ")));
            if (!report.needs_restart.empty()) {
                said += fmt::format("magpie: these need a restart: {}\n", fmt::join(report.needs_restart, ", "));
            }
        } catch (std::exception const& error) {
            said = fmt::format("magpie: {}\nmagpie: nothing has changed\n", error.what());
        }
        (void)std::fputs(said.c_str(), stderr);
    } catch (std::bad_alloc const&) {
        // The limits are as they were, or as the file says; there is no memory to tell.
    }
}

}  // namespace magpie::tools
