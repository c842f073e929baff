// expect: spawn the tasks first
// WAIT-14: the caller could not recognise a task in the result: wait() takes handles.
#include <magpie/combinators/wait.hpp>

magpie::task<> f(std::vector<magpie::task<int>>& tasks) {
    co_await magpie::wait(tasks);
}
