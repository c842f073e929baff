// expect: select\(a, b, \.\.\.\) needs one or more arguments that can be awaited
#include <magpie/combinators/select.hpp>

using namespace magpie;

task<int> half(int number);

task<> f() {
    co_await select(1, half(2));
}
