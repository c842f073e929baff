// expect: no member named .{1,3}set_value
// TASK-15: a task's result is what the task returns; nobody sets it from outside.
#include <magpie/runtime/join_handle.hpp>

void f(magpie::join_handle<int>& h) {
    h.set_value(1);
}
