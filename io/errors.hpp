#pragma once

#include <cstdint>
#include <system_error>
#include <type_traits>

namespace magpie::io {

// Errors that are not the system's.
enum class errc : std::uint8_t {
    end_of_stream = 1,  // the other side sent its end before all that was asked for had come
    too_long = 2,       // the limit was reached before the delimiter came
};

std::error_category const& io_category() noexcept;

inline std::error_code make_error_code(errc error) noexcept {
    return {static_cast<int>(error), io_category()};
}

}  // namespace magpie::io

template <>
struct std::is_error_code_enum<magpie::io::errc> : std::true_type {};
