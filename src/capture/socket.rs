//! The socket options of packet(7) that no safe interface offers: a filter program, and spreading
//! over a group of sockets.
//!
//! The only `unsafe` of `capture`: three calls of getsockopt and setsockopt with pointers to values
//! that outlive the call and whose sizes are stated. The kernel copies and checks every program.
#![allow(unsafe_code, reason = "options of packet sockets have no safe interface")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::filter::Instruction;

/// `PACKET_FANOUT_FLAG_UNIQUEID` (linux/if_packet.h): the kernel chooses a group's number.
const FANOUT_UNIQUE_ID: u32 = 0x2000;
/// `PACKET_FANOUT_CBPF`: a classic BPF program chooses the socket.
const FANOUT_PROGRAM: u32 = 6;

/// Lets only those frames reach a socket that `program` accepts, cut to the length that it returns.
pub(super) fn attach_filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    set_program(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, program)
}

/// Lets a socket share the frames of its interface with the others of `group`, or with those that
/// will join the new group, whose number is answered. `program` chooses among them: what it
/// returns, modulo their number, in the order in which they joined. Nothing rolls over from a full
/// socket to another.
pub(super) fn join_group(
    socket: BorrowedFd<'_>,
    group: Option<u16>,
    program: &[Instruction],
) -> io::Result<u16> {
    let value = match group {
        Some(group) => FANOUT_PROGRAM << 16 | u32::from(group),
        None => (FANOUT_PROGRAM | FANOUT_UNIQUE_ID) << 16,
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, &value)?;
    if let Some(group) = group {
        return Ok(group);
    }
    set_program(socket, libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, program)?;
    let mut chosen: u32 = 0;
    let mut length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: both pointers are to values of this frame; `length` is the size of `chosen`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw mut chosen).cast(),
            &raw mut length,
        )
    };
    check(answer)?;
    // The lower half is the number, the upper half the kind.
    Ok(chosen as u16)
}

fn set_program(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    program: &[Instruction],
) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = program
        .iter()
        .map(|instruction| libc::sock_filter {
            code: instruction.code,
            jt: instruction.jump_true,
            jf: instruction.jump_false,
            k: instruction.k,
        })
        .collect();
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // `program` lives to the end of this call, and the kernel copies it.
    set(socket, level, name, &libc::sock_fprog { len, filter: program.as_mut_ptr() })
}

fn set<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer is to a value that outlives the call, of the size that is stated.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    check(answer)
}

fn check(answer: c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
