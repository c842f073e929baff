#include <magpie/magpie.hpp>

#include <cstdio>

// Public headers stand alone: none of these may come in through them.
#if defined(LIB_URING_H) || defined(FMT_VERSION) || defined(TOMLPLUSPLUS_H)
#error "a public header of magpie includes a library that only its implementation may use"
#endif

magpie::task<int> answer();

int main() {
    int const got = magpie::run(answer());
    std::printf("magpie %s says %d\n", MAGPIE_VERSION, got);
    return got == 42 ? 0 : 1;
}
