// expect: a task is awaited once: std::move it into
#include <magpie/combinators/select.hpp>

using namespace magpie;

task<> both(task<int> a, task<int> b) {
    co_await select(a, std::move(b));
}
