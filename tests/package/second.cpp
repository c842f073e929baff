// A second translation unit: what a header defines without `inline` would now be defined twice.
#include <magpie/magpie.hpp>

#if __cplusplus <= 202002L
#error "magpie::magpie has to ask for C++23"
#endif

magpie::task<int> answer() { co_return 42; }
