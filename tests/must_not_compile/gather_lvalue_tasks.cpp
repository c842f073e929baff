// expect: std::move it
// A task is awaited once: a range of tasks is given away.
#include <magpie/combinators/gather.hpp>

magpie::task<> f(std::vector<magpie::task<int>>& tasks) {
    co_await magpie::gather(tasks);
}
