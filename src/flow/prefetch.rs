//! The one file with prefetch intrinsics: telling the processor which memory is wanted soon.
#![allow(unsafe_code, reason = "prefetching has no safe form; it reads and writes nothing")]

/// Asks for the cache line at `value`. Never faults, changes nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; any address is allowed, and this one is a valid reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
