// expect: the permit is given back at once if nobody keeps it
// SEM-15: a permit that nobody keeps is warned about.
#include <magpie/combinators/semaphore.hpp>

#pragma GCC diagnostic error "-Wunused-result"

void f(magpie::semaphore& s) {
    s.try_acquire();
}
