// expect: (use of deleted function|deleted copy constructor)
// TG-27: a group is its block's: it cannot be copied out of it, nor entered again.
#include <magpie/combinators/task_group.hpp>

magpie::task<> f() {
    co_await magpie::with_task_group([](magpie::task_group& g) -> magpie::task<> {
        magpie::task_group again(g);
        co_return;
    });
}
