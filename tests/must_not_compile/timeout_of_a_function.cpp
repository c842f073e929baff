// expect: needs something that can be awaited; call the function
#include <magpie/combinators/timeout.hpp>

#include <chrono>

using namespace magpie;

task<int> half(int number);

task<> f() {
    co_await timeout(std::chrono::seconds(1), half);
}
