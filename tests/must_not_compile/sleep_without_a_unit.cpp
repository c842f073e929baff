// expect: a bare number has no unit: sleep\(1s\)
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>

using namespace magpie;

task<> f() {
    co_await magpie::sleep(1);
}
