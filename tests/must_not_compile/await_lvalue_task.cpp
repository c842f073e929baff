// expect: a task is awaited once: co_await std::move\(t\)
#include <magpie/runtime/task.hpp>

using namespace magpie;

task<> f(task<int> t) {
    co_await t;
}
