#include <magpie/combinators/async_generator.hpp>

namespace magpie::detail {

void throw_generator_in_use() {
    throw usage_error("next() or close() was called on a generator whose previous next() has not returned: one at a "
                      "time");
}

void throw_generator_yields_while_closed() {
    throw usage_error("a generator yielded while it was being closed: let generator_closed leave its body");
}

}  // namespace magpie::detail
