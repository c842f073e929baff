// expect: a task does nothing until it is awaited or spawned
// TASK-25: a task that is neither awaited nor spawned is warned about.
#include <magpie/runtime/task.hpp>

#pragma GCC diagnostic error "-Wunused-result"

magpie::task<int> answer();

void f() {
    answer();
}
