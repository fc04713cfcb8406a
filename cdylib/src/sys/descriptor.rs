//! A descriptor of ours: out of the program's way, and known again.
//!
//! Invariant: a number is used and closed only while it is our file's: the program may have closed it (daemons close all), and have
//! a file of its own there.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::syscall;

/// Numbers below are left to the program: it may count on the lowest free ones, or close them all.
const LOWEST: i32 = 900;

/// Numbers that are ours where so high ones are not allowed: the highest.
const FEW: i32 = 4;

/// Those that are open, for a forked child, which has them too and knows of them by nothing else. One for which there is no place is
/// left open there.
static OPEN: [Place; 8] = [const { Place::new() }; 8];

/// Where an open descriptor is noted.
struct Place {
    /// [`NOBODY`]: free.
    number: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

const NOBODY: i32 = -1;

impl Place {
    const fn new() -> Place {
        Place {
            number: AtomicI32::new(NOBODY),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }
    }

    /// A fork in the middle of a note shows a number with a file that is not its, so that it is left alone.
    fn noted(&self) -> Descriptor {
        Descriptor {
            number: self.number.load(Ordering::Acquire),
            identity: (
                self.device.load(Ordering::Relaxed),
                self.inode.load(Ordering::Relaxed),
            ),
        }
    }

    fn take(&self, descriptor: &Descriptor) -> bool {
        let number = &self.number;
        let is_taken = number
            .compare_exchange(
                NOBODY,
                descriptor.number,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok();
        if is_taken {
            self.device.store(descriptor.identity.0, Ordering::Relaxed);
            self.inode.store(descriptor.identity.1, Ordering::Relaxed);
        }
        is_taken
    }

    fn leave(&self) {
        self.device.store(0, Ordering::Relaxed);
        self.inode.store(0, Ordering::Relaxed);
        self.number.store(NOBODY, Ordering::Release);
    }
}

/// In a forked child: closes what was its parent's. An open file keeps its room on the disk when its name is gone, and a capture loses
/// its name when it is written anew.
pub(crate) fn close_inherited() {
    for place in &OPEN {
        place.noted().close_number();
        place.leave();
    }
}

/// Makes the table of descriptors large enough for ours, while the process has one thread. Later the kernel waits
/// for all processors when it makes it larger, ten milliseconds and more, during which nothing would be written.
pub(crate) fn make_room() {
    let standard = [libc::STDERR_FILENO, libc::STDOUT_FILENO, libc::STDIN_FILENO];
    let lowest = lowest();
    for fd in standard {
        let reserved = syscall::duplicate_above(fd, lowest);
        if !syscall::is_error(reserved) {
            syscall::close(reserved as i32);
            return;
        }
    }
}

/// A descriptor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    number: i32,
    /// Device and inode of its file.
    identity: (u64, u64),
}

impl Descriptor {
    /// What a system call opened, moved out of the program's way at once, if the limit allows. `Err(errno)`.
    pub(crate) fn new(opened: isize) -> Result<Descriptor, i32> {
        if syscall::is_error(opened) {
            return Err(-opened as i32);
        }
        let number = opened as i32;
        let identity = syscall::file_identity(number).ok_or(libc::EBADF)?;
        let low = Descriptor { number, identity };
        let moved = syscall::duplicate_above(number, lowest());
        if syscall::is_error(moved) {
            return Ok(low.noted());
        }
        let number = moved as i32;
        if syscall::file_identity(number) != Some(identity) {
            // The program put a file of its own at the first number meanwhile.
            syscall::close(number);
            return Err(libc::EBADF);
        }
        low.close_number();
        Ok(Descriptor { number, identity }.noted())
    }

    fn noted(self) -> Descriptor {
        let _ = OPEN.iter().any(|place| place.take(&self));
        self
    }

    /// Its number, while it is our file's.
    pub(crate) fn number(&self) -> Option<i32> {
        (syscall::file_identity(self.number) == Some(self.identity)).then_some(self.number)
    }

    /// Whether the program does not come to its number by taking the lowest free ones.
    pub(crate) fn is_out_of_the_way(&self) -> bool {
        self.number >= lowest()
    }

    /// Device and inode of its file.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Closes it, if it is our file's.
    pub(crate) fn close(&self) {
        if let Some(place) = OPEN.iter().find(|place| place.noted() == *self) {
            place.leave();
        }
        self.close_number();
    }

    fn close_number(&self) {
        if let Some(number) = self.number() {
            syscall::close(number);
        }
    }
}

/// The number from which on a free one is looked for.
fn lowest() -> i32 {
    let highest = syscall::descriptor_limit().map_or(i32::MAX, |limit| {
        i32::try_from(limit).unwrap_or(i32::MAX).saturating_sub(FEW)
    });
    LOWEST.min(highest.max(0))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_number_that_the_program_took_over_is_left_alone() {
        let open = || Descriptor::new(syscall::open(c"/dev/null", libc::O_RDONLY, 0));
        let ours = open().expect("openable");
        assert!(ours.is_out_of_the_way());
        let number = ours.number().expect("open");
        let theirs = std::fs::File::open("/proc/self/exe").expect("openable");
        // SAFETY: the number is that of the descriptor above, whose loss is what is tested.
        assert_eq!(unsafe { libc::dup2(theirs.as_raw_fd(), number) }, number);
        assert_eq!(ours.number(), None);
        ours.close();
        let identity = syscall::file_identity(theirs.as_raw_fd());
        assert_eq!(syscall::file_identity(number), identity);
        syscall::close(number);
        assert_eq!(Descriptor::new(-5).err(), Some(5));
    }
}
