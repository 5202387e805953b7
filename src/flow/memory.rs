//! What the processor and the kernel are told about memory: which is wanted soon, and which is large.
//! Hints, that change nothing but time.
#![allow(unsafe_code, reason = "hints have no safe form; they read and write nothing")]

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;
/// Bytes of a large page on most machines; where it is another, the kernel does as it can.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Asks for the cache line at `value`. Never faults, changes nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    prefetch_at(std::ptr::from_ref(value).cast());
}

/// As [`prefetch`], of an address at which there need be nothing.
#[inline(always)]
pub(crate) fn prefetch_at(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; any address is allowed.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks the kernel to keep what `table` holds, or will hold, in large pages, where it is that large:
/// of flows in any order, each packet's would else wait for the page tables, too.
pub(crate) fn in_large_pages<T>(table: &Vec<T>) {
    let start = table.as_ptr().addr();
    let end = start + table.capacity() * size_of::<T>();
    let first = start.next_multiple_of(LARGE_PAGE_BYTES);
    let Some(bytes) = end.checked_sub(first).filter(|&bytes| bytes >= LARGE_PAGE_BYTES) else {
        return;
    };
    let first = table.as_ptr().wrapping_byte_add(first - start).cast_mut().cast();
    // SAFETY: the range lies in memory that the table owns, and the advice does not change what is in
    // it. (Nobody minds if it is not taken.)
    unsafe { libc::madvise(first, bytes, libc::MADV_HUGEPAGE) };
}
