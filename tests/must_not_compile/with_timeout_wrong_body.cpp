// expect: can be called with \(timeout_scope&, args
#include <magpie/combinators/timeout.hpp>

#include <chrono>

using namespace magpie;

task<> f() {
    co_await with_timeout(std::chrono::seconds(1), [](int) -> task<> { co_return; });
}
