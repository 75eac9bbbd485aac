// Shows ThreadSanitizer what it cannot see of Synchronization.Mutex. `make tsan` preloads this; nothing else does.
//
// Without contention a Mutex is a compare-and-swap that is compiled into the caller, where the sanitizer sees it. A thread
// that has to wait, or has to wake one up, goes through libswiftSynchronization, which is not instrumented: there the lock
// changes hands in the kernel (FUTEX_LOCK_PI), and all that it guards is reported as a race. (Two threads that add to
// one Mutex<Int>, with a pause inside, are enough to see it; Swift 6.3.) These two functions stand before the library's
// own and say what happened. So no suppression is needed, and a true race on the same data is still found.
#include <dlfcn.h>
#include <stdint.h>

#define SWIFTCALL __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
// Synchronization._MutexHandle._unlockSlow() -> ()
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Weak: the programs around the tests are preloaded too, and know no sanitizer.
void __tsan_acquire(void *) __attribute__((weak));
void __tsan_release(void *) __attribute__((weak));

typedef SWIFTCALL void Lock(uint32_t, SELF void *);
typedef SWIFTCALL void Unlock(SELF void *);

SWIFTCALL void lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFTCALL void unlock_slow(SELF void *handle) __asm__(UNLOCK);

SWIFTCALL void lock_slow(uint32_t thread, SELF void *handle) {
    ((Lock *)dlsym(RTLD_NEXT, LOCK))(thread, handle);
    if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFTCALL void unlock_slow(SELF void *handle) {
    if (__tsan_release) __tsan_release(handle);
    ((Unlock *)dlsym(RTLD_NEXT, UNLOCK))(handle);
}
