//! What the program may do once it captures: next to nothing.
//!
//! Whoever can make a dissector run code of theirs has what this process has. So, before the first
//! packet is looked at, its capabilities are cleared, it can never get others (no_new_privs), it
//! sees no files but those it needs (Landlock), and the kernel refuses system calls it has no use
//! for (seccomp). Capture sockets and files that are open stay usable.
//!
//! Rights belong to threads: call this before any is begun. Where a kernel has no Landlock, the
//! rest holds; [`Restricted`] tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caps::CapSet;
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use rustix::process::{Gid, Uid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use thiserror::Error;

/// The kernel's interface of Landlock that is used where it is there.
const LANDLOCK: ABI = ABI::V5;
/// Where interfaces tell how they are.
const ALWAYS_READ: [&str; 1] = ["/sys"];

/// Why rights could not be given up.
#[derive(Debug, Error)]
pub enum RightsError {
    /// There is no such user.
    #[error("--user {0}: no such user in /etc/passwd; `useradd --system {0}` makes one")]
    NoUser(String),
    /// The kernel refuses.
    #[error("{what} failed: {message}")]
    Failed {
        /// What was to be given up.
        what: &'static str,
        /// What the kernel says.
        message: String,
    },
}

/// How far rights were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restricted {
    /// Whether files but those it needs are out of reach.
    pub files: bool,
}

/// What is still needed. Folders count with all that is in them.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Files and folders that are read.
    pub read: Vec<PathBuf>,
    /// Folders that are written to.
    pub write: Vec<PathBuf>,
    /// Whether connections are taken from sockets that listen already.
    pub accept: bool,
}

/// Whether the program runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the program may open interfaces for capturing (CAP_NET_RAW).
pub fn may_capture() -> bool {
    caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(false)
}

/// Goes on as another user, for good: needs to be root. With the user go all capabilities.
///
/// # Errors
/// There is no such user, or the kernel refuses.
pub fn become_user(name: &str) -> Result<(), RightsError> {
    let (user, group) = user(name).ok_or_else(|| RightsError::NoUser(name.into()))?;
    let failed = |error: rustix::io::Errno| RightsError::Failed {
        what: "changing the user",
        message: error.to_string(),
    };
    rustix::thread::set_thread_groups(&[]).map_err(failed)?;
    rustix::thread::set_thread_res_gid(group, group, group).map_err(failed)?;
    rustix::thread::set_thread_res_uid(user, user, user).map_err(failed)
}

/// Gives up all rights but those for `needs`.
///
/// # Errors
/// The kernel refuses to take them.
pub fn restrict(needs: &Needs) -> Result<Restricted, RightsError> {
    clear_capabilities()?;
    let files = restrict_files(needs)?;
    restrict_calls(needs)?;
    Ok(Restricted { files })
}

fn clear_capabilities() -> Result<(), RightsError> {
    // Ambient ones first: they cannot outlive those that the process may have.
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|error| RightsError::Failed {
            what: "clearing capabilities",
            message: error.to_string(),
        })?;
    }
    Ok(())
}

/// Whether the kernel does it. It also sets no_new_privs, as the filter of system calls does.
fn restrict_files(needs: &Needs) -> Result<bool, RightsError> {
    let failed = |error: landlock::RulesetError| RightsError::Failed {
        what: "restricting files (Landlock)",
        message: error.to_string(),
    };
    let read = needs.read.iter().map(PathBuf::as_path).chain(ALWAYS_READ.map(Path::new));
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))
        .and_then(Ruleset::create)
        .map_err(failed)?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(LANDLOCK)))
        .map_err(failed)?
        .add_rules(path_beneath_rules(&needs.write, AccessFs::from_all(LANDLOCK)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(failed)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn restrict_calls(needs: &Needs) -> Result<(), RightsError> {
    let failed = |message: String| RightsError::Failed {
        what: "restricting system calls (seccomp)",
        message,
    };
    let accept = [libc::SYS_accept4, libc::SYS_shutdown, libc::SYS_sendto, libc::SYS_sendmsg];
    let also = accept.iter().filter(|_| needs.accept);
    let rules: BTreeMap<i64, Vec<_>> =
        CALLS.iter().chain(OLD_CALLS).chain(also).map(|&call| (call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        architecture.try_into().map_err(|_| failed(format!("no filters for {architecture}")))?,
    );
    let program: BpfProgram =
        filter.and_then(BpfProgram::try_from).map_err(|error| failed(error.to_string()))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(error.to_string()))
}

/// System calls of a sensor that has all it needs open: memory, threads, time, its sockets, the
/// files of its database and reports. Not among them: other programs, other users, new sockets.
const CALLS: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_getrandom,
    // Threads and signals.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_membarrier,
    libc::SYS_prctl,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // Time and waiting.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    // Sockets that are open.
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_setsockopt,
    // Files.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Calls that newer architectures do without.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[i64] = &[
    libc::SYS_access,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[i64] = &[];

/// The numbers of a user and of the user's group (passwd(5)).
fn user(name: &str) -> Option<(Uid, Gid)> {
    find_user(&fs::read_to_string("/etc/passwd").ok()?, name)
}

fn find_user(passwd: &str, name: &str) -> Option<(Uid, Gid)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut numbers = fields.skip(1).map(|number| number.parse::<u32>().ok());
        Some((Uid::from_raw(numbers.next()??), Gid::from_raw(numbers.next()??)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nscope2:x:7:8::/:\nscope:x:998:997::/:/bin/false\n";
        let numbers =
            |name| find_user(passwd, name).map(|(user, group)| (user.as_raw(), group.as_raw()));
        assert_eq!(numbers("scope"), Some((998, 997)));
        assert_eq!(numbers("root"), Some((0, 0)));
        assert_eq!(numbers("sco"), None);
    }

    /// In a process of its own, since it cannot be undone: this test runs the others' program.
    #[test]
    fn nothing_but_what_is_needed_is_left() {
        const INSIDE: &str = "SHADOWSCOPE_TEST_RESTRICTED";
        if let Some(folder) = std::env::var_os(INSIDE) {
            restricted(Path::new(&folder));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "rights::tests::nothing_but_what_is_needed_is_left";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .env(INSIDE, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("1 passed"), "{said}");
    }

    fn restricted(folder: &Path) {
        let needs = Needs { write: vec![folder.into()], ..Needs::default() };
        let mut status = fs::File::open("/proc/thread-self/status").unwrap();
        let restricted = restrict(&needs).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        fs::rename(folder.join("file"), folder.join("other")).unwrap();
        assert!(std::thread::spawn(|| 7).join().is_ok());
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err());
        assert!(std::process::Command::new("/bin/true").status().is_err());
        if restricted.files {
            assert!(fs::read_to_string("/etc/passwd").is_err());
            assert!(fs::write("/tmp/not-here", "x").is_err());
        } else {
            println!("skipped: needs Landlock");
        }
        let status = std::io::read_to_string(&mut status).unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    }
}
