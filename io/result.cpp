#include <magpie/io/result.hpp>

namespace magpie::detail {

void throw_bad_result(std::error_code error) {
    throw bad_result(error);
}

}  // namespace magpie::detail
