//! A user namespace in which root has another name: the server believes it runs as an ordinary
//! user and keeps the right to enter root's own directories.

use std::io;

use rustix::process::{getegid, geteuid};

/// What the namespace maps the caller's user and group to.
pub(crate) fn names(uid: u32, gid: u32) -> [String; 2] {
    [format!("{uid} {} 1", geteuid().as_raw()), format!("{gid} {} 1", getegid().as_raw())]
}

/// Moves the calling process, which must have a single thread, into a new namespace. Makes system
/// calls only.
#[cfg(target_os = "linux")]
pub(crate) fn enter(names: &[String; 2]) -> io::Result<()> {
    use rustix::{
        fs::{Mode, OFlags, open},
        thread::{UnshareFlags, unshare_unsafe},
    };

    // SAFETY: only `UnshareFlags::FILES` has conditions, on descriptors shared between threads.
    #[expect(unsafe_code, reason = "rustix has no safe form of unshare")]
    unsafe {
        unshare_unsafe(UnshareFlags::NEWUSER)?;
    }
    let write = |path: &std::ffi::CStr, text: &str| {
        let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(file, text.as_bytes())
    };
    write(c"/proc/self/setgroups", "deny")?;
    write(c"/proc/self/uid_map", &names[0])?;
    write(c"/proc/self/gid_map", &names[1])?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn enter(_names: &[String; 2]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
