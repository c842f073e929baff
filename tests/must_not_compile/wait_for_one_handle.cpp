// expect: wait\(\) takes a range of handles: for a single one
#include <magpie/combinators/wait.hpp>

using namespace magpie;

task<> f(join_handle<int>& handle) {
    co_await wait(handle);
}
