// expect: a task is awaited once: give it away with std::move
#include <magpie/runtime/spawn.hpp>

using namespace magpie;

void f(task<int>& t) {
    spawn_detached(t);
}
