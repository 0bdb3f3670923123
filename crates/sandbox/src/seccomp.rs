//! A small seccomp filter for what namespaces do not cover.
//!
//! A network namespace does not hold back `AF_VSOCK`, with which a guest reaches its host, nor the
//! rarer address families. `io_uring` opens sockets without the system call that is filtered here,
//! and the key rings are the kernel's own, not the namespace's.

/// The filter as bubblewrap's `--seccomp` takes it: an array of `struct sock_filter`.
/// `None` on processors that this was not written for.
pub(crate) fn filter() -> Option<Vec<u8>> {
    arch::AUDIT.map(|audit| assemble(&program(audit)))
}

#[cfg(target_arch = "x86_64")]
mod arch {
    pub(super) const AUDIT: Option<u32> = Some(0xC000_003E);
    /// System calls from here on are those of the x32 ABI: the same calls under other numbers.
    pub(super) const FOREIGN_FROM: Option<u32> = Some(0x4000_0000);
}

#[cfg(target_arch = "aarch64")]
mod arch {
    pub(super) const AUDIT: Option<u32> = Some(0xC000_00B7);
    pub(super) const FOREIGN_FROM: Option<u32> = None;
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    pub(super) const AUDIT: Option<u32> = None;
    pub(super) const FOREIGN_FROM: Option<u32> = None;
}

// linux/bpf_common.h, linux/seccomp.h
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_FIRST_ARGUMENT: u32 = 16;

const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Refused as if the kernel did not have them: programs that could use them know to do without.
const ABSENT: [i64; 7] = [
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];

type Instruction = (u16, u8, u8, u32);

fn program(audit: u32) -> Vec<Instruction> {
    let absent = (RETURN, 0, 0, ERRNO | libc::ENOSYS as u32);
    let mut code = vec![(LOAD, 0, 0, OFFSET_ARCH), (JUMP_EQUAL, 1, 0, audit), absent];
    code.push((LOAD, 0, 0, OFFSET_NUMBER));
    if let Some(first) = arch::FOREIGN_FROM {
        code.extend([(JUMP_AT_LEAST, 0, 1, first), absent]);
    }
    for number in ABSENT {
        code.extend([(JUMP_EQUAL, 0, 1, number as u32), absent]);
    }
    code.extend([(JUMP_EQUAL, 1, 0, libc::SYS_socket as u32), (RETURN, 0, 0, ALLOW)]);
    code.push((LOAD, 0, 0, OFFSET_FIRST_ARGUMENT));
    for family in FAMILIES {
        code.extend([(JUMP_EQUAL, 0, 1, family as u32), (RETURN, 0, 0, ALLOW)]);
    }
    code.push((RETURN, 0, 0, ERRNO | libc::EAFNOSUPPORT as u32));
    code
}

fn assemble(code: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(code.len() * 8);
    for (operation, when_true, when_false, operand) in code {
        bytes.extend(operation.to_ne_bytes());
        bytes.extend([*when_true, *when_false]);
        bytes.extend(operand.to_ne_bytes());
    }
    bytes
}
