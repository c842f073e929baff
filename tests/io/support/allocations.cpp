#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <io/support/allocations.hpp>
#include <runtime/support/kit.hpp>

namespace {

std::atomic<std::uint64_t> made{0};

[[maybe_unused]] void* counted(void* memory) {
    made.fetch_add(1, std::memory_order_relaxed);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

}  // namespace

std::uint64_t magpie::tests::allocations_made() noexcept {
    return made.load(std::memory_order_relaxed);
}

#if !defined(MAGPIE_TESTS_TSAN) && !defined(MAGPIE_TESTS_ASAN)  // a sanitizer brings its own, which check more
void* operator new(std::size_t size) {
    return counted(std::malloc(size == 0 ? 1 : size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    auto const to = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(to, (size + to - 1) / to * to));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
#endif
