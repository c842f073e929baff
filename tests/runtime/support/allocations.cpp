#include <runtime/support/allocations.hpp>

#include <runtime/support/kit.hpp>

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> blocks{0};
std::atomic<std::int64_t> bytes{0};

struct failing {
    bool on = false;
    int left = 0;
    int refused = 0;
};
thread_local constinit failing here;

[[maybe_unused]] void* counted(void* memory) noexcept {
    if (memory != nullptr) {
        blocks.fetch_add(1, std::memory_order_relaxed);
        bytes.fetch_add(static_cast<std::int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
    }
    return memory;
}

bool refuse() noexcept {
    if (!here.on || here.left-- > 0) {
        return false;
    }
    here.left = 0;
    ++here.refused;
    return true;
}

[[maybe_unused]] void* plain(std::size_t size) noexcept {
    return refuse() ? nullptr : counted(std::malloc(size == 0 ? 1 : size));
}

[[maybe_unused]] void* aligned(std::size_t size, std::align_val_t alignment) noexcept {
    auto const to = static_cast<std::size_t>(alignment);
    return refuse() ? nullptr : counted(std::aligned_alloc(to, (size + to - 1) / to * to));
}

[[maybe_unused]] void* or_throw(void* memory) {
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

[[maybe_unused]] void give_back(void* memory) noexcept {
    if (memory != nullptr) {
        blocks.fetch_sub(1, std::memory_order_relaxed);
        bytes.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
        std::free(memory);
    }
}

}  // namespace

namespace magpie::tests {

bool allocations_are_ours() noexcept {
#if defined(MAGPIE_TESTS_TSAN)
    return false;
#else
    return true;
#endif
}

std::int64_t live_blocks() noexcept {
    return blocks.load();
}

std::int64_t live_bytes() noexcept {
    return bytes.load();
}

failing_allocations::failing_allocations(int after) noexcept {
    here = {.on = true, .left = after};
}

failing_allocations::~failing_allocations() {
    here = {};
}

int failing_allocations::refused() const noexcept {
    return here.refused;
}

}  // namespace magpie::tests

#if !defined(MAGPIE_TESTS_TSAN)  // its runtime's own cannot be replaced
// All forms: a sanitizer's runtime brings its own of those that are left out, and then of all.
void* operator new(std::size_t size) { return or_throw(plain(size)); }
void* operator new[](std::size_t size) { return or_throw(plain(size)); }
void* operator new(std::size_t size, std::align_val_t to) { return or_throw(aligned(size, to)); }
void* operator new[](std::size_t size, std::align_val_t to) { return or_throw(aligned(size, to)); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return plain(size); }
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept { return plain(size); }
void* operator new(std::size_t size, std::align_val_t to, std::nothrow_t const&) noexcept { return aligned(size, to); }
void* operator new[](std::size_t size, std::align_val_t to, std::nothrow_t const&) noexcept { return aligned(size, to); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::nothrow_t const&) noexcept { give_back(memory); }
void operator delete[](void* memory, std::nothrow_t const&) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t, std::nothrow_t const&) noexcept { give_back(memory); }
void operator delete[](void* memory, std::align_val_t, std::nothrow_t const&) noexcept { give_back(memory); }
#endif
