// expect: private
// TO-21: a timeout is begun by awaiting it, in a task, and in no other way.
#include <magpie/combinators/timeout.hpp>

magpie::timeout_scope scope(magpie::duration(1));
