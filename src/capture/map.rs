//! Stretches of capture files, mapped into memory.
//!
//! The one file that maps memory. A map has two dangers, which a copy by `read` has not:
//!
//! - The file may become shorter, as when somebody begins it anew. Whoever looks at what is gone is
//!   sent SIGBUS. The handler here puts zeros in its place and notes that the window [is
//!   cut](Window::is_cut), so that the file ends there and the run goes on.
//! - Its bytes may change while they are looked at. Whatever they say then is as hostile as what any
//!   capture says.
//!
//! A disk that fails is no danger: all of a window is read when it is made, or there is none.
#![allow(unsafe_code, reason = "mapping memory has no safe form")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::{Advice, Mmap, MmapOptions};

/// Windows at a time, of all threads: some for each worker.
const WINDOWS_MAX: usize = 512;

/// Where a window lies, for the handler of SIGBUS, which can wait for nobody.
struct Place {
    /// 0: nobody's.
    start: AtomicUsize,
    end: AtomicUsize,
    is_cut: AtomicBool,
}

impl Place {
    #[allow(clippy::declare_interior_mutable_const, reason = "the first value of many statics")]
    const NOBODYS: Place = Place {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        is_cut: AtomicBool::new(false),
    };
}

static PLACES: [Place; WINDOWS_MAX] = [Place::NOBODYS; WINDOWS_MAX];
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);

/// A stretch of a file in memory.
#[derive(Debug)]
pub(super) struct Window {
    map: Mmap,
    place: &'static Place,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Place").field("is_cut", &self.is_cut).finish_non_exhaustive()
    }
}

impl Window {
    /// Maps `length` bytes of a regular file from `offset` on, and has all of them read.
    ///
    /// # Errors
    ///
    /// When the file is shorter, cannot be mapped or read, or the kernel is older than 5.14. `read`
    /// will tell what is wrong with it, if anything is.
    pub(super) fn new(file: &File, offset: u64, length: usize) -> io::Result<Window> {
        install_handler()?;
        // SAFETY: memory that is only read, and that nothing else is made of. Other programs may write
        // to the file or cut it: see the module for both. No unsafe code relies on what its bytes say.
        let map = unsafe { MmapOptions::new().offset(offset).len(length).map(file)? };
        let start = map.as_ptr() as usize;
        let free = |place: &&Place| {
            place.start.compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let Some(place) = PLACES.iter().find(free) else {
            return Err(io::Error::other("too many windows"));
        };
        place.is_cut.store(false, Ordering::Relaxed);
        place.end.store(start + length, Ordering::Release);
        let window = Window { map, place };
        window.map.advise(Advice::PopulateRead)?;
        Ok(window)
    }

    /// Whether bytes of it are zeros only because the file has become shorter.
    pub(super) fn is_cut(&self) -> bool {
        self.place.is_cut.load(Ordering::Acquire)
    }
}

impl Deref for Window {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.place.end.store(0, Ordering::Release);
        self.place.start.store(0, Ordering::Release);
    }
}

/// Sees to SIGBUS from here on, once for the program.
fn install_handler() -> io::Result<()> {
    static INSTALLED: OnceLock<Option<libc::sigaction>> = OnceLock::new();
    let previous = INSTALLED.get_or_init(|| {
        // SAFETY: asks for a number.
        if let Ok(bytes) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) {
            PAGE_BYTES.store(bytes, Ordering::Relaxed);
        }
        // SAFETY: zeros are a valid value of both structures, of which the kernel fills the second;
        // the handler is a function with the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut previous: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus_error as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            let is_done = libc::sigaction(libc::SIGBUS, &action, &mut previous) == 0;
            is_done.then_some(previous)
        }
    });
    // Whoever saw to it before is asked where it is none of ours.
    PREVIOUS.store(std::ptr::from_ref(previous).cast_mut(), Ordering::Release);
    if previous.is_some() { Ok(()) } else { Err(io::Error::other("SIGBUS cannot be seen to")) }
}

static PREVIOUS: std::sync::atomic::AtomicPtr<Option<libc::sigaction>> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

/// Puts zeros where a window has lost its file. Does nothing but system calls and atomic stores.
extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid one.
    let address = unsafe { (*info).si_addr() } as usize;
    let holds = |place: &&Place| {
        let start = place.start.load(Ordering::Acquire);
        start != 0 && start <= address && address < place.end.load(Ordering::Acquire)
    };
    if let Some(place) = PLACES.iter().find(holds) {
        let bytes = PAGE_BYTES.load(Ordering::Relaxed);
        let page = (address & !(bytes - 1)) as *mut libc::c_void;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: the page is one of a window's, which is only read, and stays mapped.
        let zeros = unsafe { libc::mmap(page, bytes, libc::PROT_READ, flags, -1, 0) };
        if zeros != libc::MAP_FAILED {
            place.is_cut.store(true, Ordering::Release);
            return;
        }
    }
    // None of ours: what was done before is done when the same is tried again.
    // SAFETY: the pointer is null or that of a static which is never written again.
    if let Some(Some(previous)) = unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() } {
        // SAFETY: it was given by the kernel.
        unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
        file
    }

    #[test]
    fn a_window_shows_its_stretch() {
        let bytes: Vec<u8> = (0..50_000_u32).map(|number| (number / 7) as u8).collect();
        let file = file(&bytes);
        for (offset, length) in [(0, 50_000), (1, 4_096), (4_096, 100), (12_345, 30_000)] {
            let window = Window::new(&file, offset as u64, length).unwrap();
            assert_eq!(&window[..], &bytes[offset..offset + length]);
            assert!(!window.is_cut());
        }
    }

    #[test]
    fn what_is_gone_is_zeros_and_told() {
        let (long, other) = (file(&[7; 40_000]), file(&[8; 40_000]));
        let window = Window::new(&long, 0, 40_000).unwrap();
        let untouched = Window::new(&other, 0, 40_000).unwrap();
        long.set_len(5_000).unwrap();
        assert_eq!(window[4_999], 7);
        assert!(!window.is_cut());
        assert_eq!(window[39_999], 0);
        assert!(window.is_cut());
        assert_eq!(window[20_000], 0);
        assert!(!untouched.is_cut());
        assert_eq!(untouched[39_999], 8);
        // Its place is another's now.
        drop(window);
        assert!(!Window::new(&other, 0, 40_000).unwrap().is_cut());
    }

    #[test]
    fn a_window_beyond_the_end_is_none() {
        assert!(Window::new(&file(&[7; 5_000]), 0, 40_000).is_err());
    }
}
