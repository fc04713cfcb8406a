//! The process's memory map, one question of it: how far does the mapping around an address reach?

use super::file;

/// More than any program's map.
const LONGEST_MAP: usize = 64 << 20;

/// A stretch of addresses, the end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Region {
    /// Whether a word at an address lies inside.
    #[inline(always)]
    pub(crate) fn holds_word(self, address: usize) -> bool {
        address >= self.start
            && address.is_multiple_of(size_of::<usize>())
            && address < self.end
            && self.end - address >= size_of::<usize>()
    }
}

/// The mapping that an address lies in, as the system tells it. Takes as long as the map is long, and a descriptor.
pub(crate) fn region_of(address: usize) -> Option<Region> {
    find(&file::read("/proc/thread-self/maps", LONGEST_MAP)?, address)
}

fn find(map: &[u8], address: usize) -> Option<Region> {
    map.split(|&byte| byte == b'\n').find_map(|line| {
        let range = line.split(|&byte| byte == b' ').next()?;
        // Bytes, not text: a search in text has a panic.
        let mut ends = range
            .split(|&byte| byte == b'-')
            .map(|digits| usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok());
        let region = Region {
            start: ends.next()??,
            end: ends.next()??,
        };
        (region.start..region.end)
            .contains(&address)
            .then_some(region)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_stack_is_a_region() {
        let here = 0usize;
        let address = core::ptr::from_ref(&here) as usize;
        let region = region_of(address).expect("mapped");
        assert!(region.holds_word(address) && !region.holds_word(address + 1));
        assert!(!region.holds_word(region.end) && !region.holds_word(region.end - 4));
        assert!(!region.holds_word(region.start.wrapping_sub(8)));
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let map = b"\nx-y r\n10-\n20-1\n1000-2000 rw-p\n2000-3000 r--p 0 00:00 0 /a b\n";
        let region = |start, end| Some(Region { start, end });
        assert_eq!(find(map, 0x1fff), region(0x1000, 0x2000));
        assert_eq!(find(map, 0x2000), region(0x2000, 0x3000));
        assert_eq!(find(map, 0x3000), None);
    }
}
