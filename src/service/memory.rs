//! What the C library does with large buffers, so that a sensor's memory stays what it is.
//!
//! Each minute brings buffers of megabytes that live for moments: parts, answers, a catalogue. glibc
//! maps such a buffer by itself and unmaps it afterwards, but raises the size from which on it does
//! with each that is freed (mallopt(3), "M_MMAP_THRESHOLD"), and keeps what is smaller for later,
//! where it is cut up: half as much again was resident, and more each hour. Here the size stays.
#![allow(unsafe_code, reason = "the C library's allocator has no safe interface")]

/// Buffers from this size on are given back when they are freed, in bytes.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: libc::c_int = 256 << 10;

/// Has large buffers given back to the kernel as soon as they are freed. To be called before there
/// are any; other C libraries than glibc do so by themselves.
pub fn give_back_large_buffers() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes two numbers, and no pointer.
        let _is_known = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
    }
}
