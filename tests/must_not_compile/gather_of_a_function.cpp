// expect: gather\(\) needs arguments that can be awaited
#include <magpie/combinators/gather.hpp>

using namespace magpie;

task<int> half(int number);

task<> f() {
    co_await gather(half, half(2));
}
