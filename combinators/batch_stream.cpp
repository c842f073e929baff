#include <magpie/combinators/batch_stream.hpp>

namespace magpie::detail {

void throw_not_the_body() {
    throw usage_error(
        "next() of a batch_stream() was called by a task that its consumer began: it is for the consumer");
}

}  // namespace magpie::detail
