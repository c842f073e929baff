#include "load_error.hpp"

namespace magpie::tools {

std::string_view name_of(load_error error) noexcept {
    switch (error) {
    case load_error::refused:
        return "refused";
    case load_error::unreachable:
        return "unreachable";
    case load_error::reset:
        return "reset";
    case load_error::closed:
        return "closed";
    case load_error::timeout:
        return "timeout";
    case load_error::bad_status:
        return "bad_status";
    case load_error::wrong_length:
        return "wrong_length";
    case load_error::short_body:
        return "short_body";
    case load_error::malformed:
        return "malformed";
    case load_error::too_many_files:
        return "too_many_files";
    case load_error::no_local_port:
        return "no_local_port";
    case load_error::other:
        break;
    }
    return "other";
}

load_error classify(std::error_code error) noexcept {
    struct kind {
        std::errc condition;
        load_error error;
    };
    static constexpr kind kinds[] = {
        {std::errc::connection_refused, load_error::refused},
        {std::errc::connection_reset, load_error::reset},
        {std::errc::broken_pipe, load_error::reset},
        {std::errc::connection_aborted, load_error::reset},
        {std::errc::not_connected, load_error::reset},
        {std::errc::timed_out, load_error::timeout},
        {std::errc::network_unreachable, load_error::unreachable},
        {std::errc::host_unreachable, load_error::unreachable},
        {std::errc::network_down, load_error::unreachable},
        {std::errc::too_many_files_open, load_error::too_many_files},
        {std::errc::too_many_files_open_in_system, load_error::too_many_files},
        {std::errc::address_not_available, load_error::no_local_port},
    };
    for (kind const& each : kinds) {
        if (error == each.condition) {
            return each.error;
        }
    }
    return load_error::other;
}

}  // namespace magpie::tools
