// expect: a task is awaited once: timeout\(1s, std::move\(t\)\)
#include <magpie/combinators/timeout.hpp>

#include <chrono>

using namespace magpie;

task<> f(task<int> t) {
    co_await timeout(std::chrono::seconds(1), t);
}
