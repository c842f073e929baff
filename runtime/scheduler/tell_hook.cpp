#include <magpie/runtime/scheduler/tell_hook.hpp>

#include <magpie/runtime/errors.hpp>

#include <cstdio>
#include <exception>
#include <string>

namespace magpie::detail {

namespace {

void print(event_info const& info, std::string_view prefix) {
    std::string line = "magpie: ";
    line.append(prefix);
    line.append(info.context);
    if (!info.name.empty()) {
        line.append(" (").append(info.name);
        if (info.where.line() != 0) {
            line.append(", spawned at ").append(info.where.file_name()).append(":").append(std::to_string(info.where.line()));
        }
        line.append(")");
    }
    if (info.error != nullptr) {
        line.append(": ").append(describe(info.error));
    }
    line.append("\n");
    std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace

void tell(hook const& to, event_info const& info) noexcept {
    try {
        if (!to) {
            print(info, "");
            return;
        }
        try {
            to(info);
        } catch (...) {
            event_info broken = info;
            broken.error = std::current_exception();
            print(broken, "a hook threw while it was told that ");
        }
    } catch (...) {
        std::fputs("magpie: no memory to report an error\n", stderr);
    }
}

} // namespace magpie::detail
