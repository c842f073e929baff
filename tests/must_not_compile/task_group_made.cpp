// expect: (no matching constructor|no matching function|private)
// TG-27, TG-29: a group is made by awaiting its block, in a task, and in no other way.
#include <magpie/combinators/task_group.hpp>

magpie::task_group g;
