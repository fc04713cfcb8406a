//! How much of the process is in memory.
//!
//! The file is kept open: it is read at every flush, and each time that a file is opened its number is, for a moment, the lowest
//! free one, on which a program may count.

use crate::sys::file::File;

const PATH: &str = "/proc/thread-self/statm";
const LONGEST: usize = 256;
const PAGE_BYTES: u64 = 4096;

/// The file that says it.
#[derive(Default)]
pub(crate) enum Resident {
    #[default]
    Unopened,
    Open(File),
    /// There is no such file.
    Missing,
}

impl Resident {
    /// Resident set size of the process, bytes; 0 when the system does not say.
    pub(crate) fn bytes(&mut self) -> u64 {
        if let Resident::Open(file) = self
            && let Some(bytes) = read(file)
        {
            return bytes;
        }
        // For the first time, or the program closed it, or the thread has ended that opened it.
        if matches!(self, Resident::Missing) {
            return 0;
        }
        let Some(file) = File::open(PATH) else {
            *self = Resident::Missing;
            return 0;
        };
        let bytes = read(&file);
        *self = if file.is_out_of_the_way() {
            Resident::Open(file)
        } else {
            Resident::Unopened
        };
        bytes.unwrap_or(0)
    }
}

fn read(file: &File) -> Option<u64> {
    let text = String::from_utf8(file.read_up_to(LONGEST)).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_again_and_by_other_threads() {
        let mut resident = Resident::default();
        let opener = std::thread::scope(|scope| {
            let first = scope.spawn(|| resident.bytes());
            first.join().expect("no panic")
        });
        assert!(opener > PAGE_BYTES);
        // That thread has ended, and its file says nothing more.
        assert!(resident.bytes() > PAGE_BYTES);
        assert!(matches!(resident, Resident::Open(_)));
        assert!(resident.bytes() > PAGE_BYTES);
    }
}
