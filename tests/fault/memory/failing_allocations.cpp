#include "memory/failing_allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> armed{false};
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> failing{0};
std::atomic<bool> sticky{false};

bool is_due() {
    if (!armed.load(std::memory_order_relaxed)) {
        return false;
    }
    const std::uint64_t number = allocations.fetch_add(1) + 1;
    const std::uint64_t nth = failing.load(std::memory_order_relaxed);
    return nth != 0 && (number == nth || (number > nth && sticky.load(std::memory_order_relaxed)));
}

void* allocate(std::size_t size) {
    void* made = is_due() ? nullptr : std::malloc(size == 0 ? 1 : size);
    return made;
}

void* allocate(std::size_t size, std::align_val_t alignment) {
    const auto boundary = static_cast<std::size_t>(alignment);
    const std::size_t rounded = (size + boundary - 1) / boundary * boundary;
    return is_due() ? nullptr : std::aligned_alloc(boundary, rounded == 0 ? boundary : rounded);
}

void* or_throw(void* made) {
    if (made == nullptr) {
        throw std::bad_alloc();
    }
    return made;
}

} // namespace

namespace immortal::faults {

void arm_allocations(std::uint64_t nth, repetition how) {
    allocations = 0;
    failing = nth;
    sticky = how == repetition::sticky;
    armed = true;
}

std::uint64_t disarm_allocations() {
    armed = false;
    return allocations;
}

} // namespace immortal::faults

// NOLINTBEGIN(misc-new-delete-overloads): all of them are here
void* operator new(std::size_t size) {
    return or_throw(allocate(size));
}
void* operator new[](std::size_t size) {
    return or_throw(allocate(size));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return or_throw(allocate(size, alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return or_throw(allocate(size, alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, alignment);
}
void operator delete(void* block) noexcept {
    std::free(block);
}
void operator delete[](void* block) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
void operator delete[](void* block, std::size_t) noexcept {
    std::free(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
    std::free(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
    std::free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
    std::free(block);
}
void operator delete[](void* block, std::align_val_t) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    std::free(block);
}
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept {
    std::free(block);
}
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(block);
}
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(block);
}
// NOLINTEND(misc-new-delete-overloads)
