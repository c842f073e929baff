#pragma once

#include <magpie/runtime/detail/frame_alloc.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

namespace magpie::detail {

// A thread's free coroutine frames, by size class: an allocation is a pop, a free is a push, whichever thread the frame
// came from. Frames move in batches, of a fixed number for each class. A list that holds two batches puts the older one
// away, as a spare or to the depot, which all threads share under a lock per class; an empty list takes a spare, a batch
// from the depot, or asks the allocator. So frames that are made on one worker and freed on another cost a lock for each
// batch; and who goes up and down by less than a batch pays nothing, wherever he begins.
//
// A list's room is what may still be pushed before it is full. All that a thread keeps is counted when a list gets its
// room and when a batch becomes a spare, never on the fast path. Of a small limit a class gets an eighth, which may be
// less than two batches: then its frames do not travel, and what finds no room goes to the allocator one by one.
//
// The depot keeps 16 MiB, or, while somebody trims it (frame_trimmer.hpp), all that it is given: a million tasks that end
// and begin again do not pass through the allocator. It knows for each class how much nobody has needed for a while.
//
// Owned by one thread. Trivially destructible, so that a thread_local one costs no guard: flush() at thread exit.
class frame_cache {
public:
    static constexpr std::size_t granule = frame_granule;
    static constexpr std::size_t largest = largest_recycled_frame;

    constexpr frame_cache() noexcept = default;

    // Of any size; what is larger than the largest class goes to the allocator.
    void* allocate(std::size_t size) {
        return size <= largest ? allocate_class(frame_class(size)) : ::operator new(size);
    }
    void deallocate(void* memory, std::size_t size) noexcept {
        if (size <= largest) {
            deallocate_class(memory, frame_class(size));
        } else {
            ::operator delete(memory);
        }
    }

    // `index` is the class: below `classes`.
    void* allocate_class(std::size_t index) {
        list& free = lists_[index];
        node* const taken = free.head;
        if (taken == nullptr) [[unlikely]] {
            return allocate_slowly(index);
        }
        free.head = taken->next;
        __builtin_prefetch(free.head, 1);  // frames that have lain idle are a chain of cache misses
        ++free.room;
        return taken;
    }
    void deallocate_class(void* memory, std::size_t index) noexcept {
        list& free = lists_[index];
        if (free.room == 0) [[unlikely]] {
            deallocate_slowly(memory, index);
            return;
        }
        --free.room;
        free.head = new (memory) node(free.head);
    }

    // Most bytes of free frames that this thread keeps; 0: none. Gives what it has to the allocator.
    void set_limit(std::size_t bytes) noexcept;
    // Gives everything to the allocator, and keeps nothing from now on.
    void flush() noexcept;

    // Of all threads' frames, any thread: hints.
    struct freed {
        std::size_t ever = 0;      // bytes that went to the allocator, but not by trim(), end_trimming() or flush()
        std::size_t in_depot = 0;  // bytes
        std::size_t moved = 0;     // bytes that threads put into the depot, took out of it, or freed past it, ever
    };
    static freed look() noexcept;
    // From begin_trimming() on the depot keeps all that it is given. When the last trimmer ends, it keeps 16 MiB. Any thread.
    static void begin_trimming() noexcept;
    static void end_trimming() noexcept;
    // Gives the allocator what has lain in the depot since the last time. Any thread; may take long.
    static void give_back_unused() noexcept;
    // Empties the depot, and has the allocator give what it keeps free back to the system. Any thread; may take long.
    static void trim() noexcept;

private:
    struct node {
        explicit node(node* following) noexcept : next(following) {}
        node* next;
        node* next_batch;  // of the first frame of a batch that was put away
    };
    struct list {
        node* head = nullptr;
        node* spares = nullptr;  // batches
        std::uint32_t room = 0;
        bool has_room = false;  // counted in bytes_, however much of it is taken: room + frames == capacity()
    };
    static constexpr std::size_t classes = largest / granule;
    static constexpr std::size_t frame_bytes(std::size_t index) noexcept { return (index + 1) * granule; }
    // Room for two batches of each class is the usual limit of a thread.
    static constexpr std::uint32_t batch(std::size_t index) noexcept {
        constexpr std::size_t most = 64;
        constexpr std::size_t bytes = std::size_t{8} << 10;
        return static_cast<std::uint32_t>(bytes / frame_bytes(index) < most ? bytes / frame_bytes(index) : most);
    }
    static constexpr std::size_t batch_bytes(std::size_t index) noexcept { return batch(index) * frame_bytes(index); }
    // By how much the heap is extended: glibc keeps less than 128 KiB at its end.
    static constexpr std::size_t extension = std::size_t{1} << 16;

    void* allocate_slowly(std::size_t index);
    void* allocate_fresh(std::size_t index);
    void deallocate_slowly(void* memory, std::size_t index) noexcept;
    std::uint32_t capacity(std::size_t index) const noexcept;
    bool find_room(std::size_t index) noexcept;
    bool count(std::size_t bytes) noexcept;
    bool give_away_spare() noexcept;
    void put_away(std::size_t index) noexcept;
    static node* take_from_depot(std::size_t index) noexcept;
    static node* unshelve(std::size_t index) noexcept;  // as that, for who frees it: not counted as moved
    static void give_to_depot(node* first, std::size_t index) noexcept;
    static void free_from_depot(std::size_t bytes) noexcept;
    static void free_all(node* first) noexcept;

    struct depot;
    static depot& shared() noexcept;

    list lists_[classes];
    std::size_t bytes_ = 0;    // of all lists' capacity, and of the spares
    std::size_t spares_ = 0;   // how many batches
    std::size_t limit_ = 0;    // 0 until the thread has allocated once: the slow path sets it up
    std::size_t singles_ = 0;  // bytes that went to the allocator one by one, and are not counted in the depot yet
    std::size_t fresh_ = 0;    // bytes of frames that are on no list, until the heap is extended again
    std::size_t extend_after_ = extension;  // what fresh_ began with
    bool ready_ = false;
};

} // namespace magpie::detail
