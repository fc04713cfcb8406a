//! Which file an address of code lies in, and where in it: from `/proc/thread-self/maps` (`self` shows nothing once the main thread has ended) and the file's own headers.
//!
//! No loader lock is taken and no mapped memory is read: a library may be closed at any moment.

use std::collections::BTreeMap;

use super::elf::{IDENTITY, u16_at, u32_at, u64_at};
use crate::sys::file::{self, File};

/// More than any program's map.
const LONGEST_MAP: usize = 64 << 20;
/// ELF header and program headers lie at the beginning of every sane file.
const HEAD_BYTES: usize = 16 << 10;
/// More than any build id and its neighbours need.
const LONGEST_NOTES: u64 = 1 << 20;

/// A module, as the capture will have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModuleFile {
    pub(crate) path: String,
    pub(crate) build_id: Vec<u8>,
    /// Loadable segments: file offset, size in the file, virtual address.
    segments: Vec<(u64, u64, u64)>,
}

/// A stretch of a file in memory.
#[derive(Clone, Copy, Debug)]
struct Span {
    end: u64,
    /// Offset in the file of the stretch's first byte.
    offset: u64,
    module: usize,
}

/// The modules of the process, as of the last look.
#[derive(Default)]
pub(crate) struct Modules {
    files: Vec<ModuleFile>,
    spans: BTreeMap<u64, Span>,
}

/// Reads what is needed from a file's head: its loadable segments and its GNU build id, whose note may lie anywhere in the
/// file (tools that rewrite wheels move it): `read_at` gives bytes at an offset.
fn read_headers(
    path: &str,
    head: &[u8],
    read_at: impl Fn(u64, u64) -> Option<Vec<u8>>,
) -> ModuleFile {
    let mut module = ModuleFile {
        path: path.to_owned(),
        ..ModuleFile::default()
    };
    if head.get(..5) != Some(IDENTITY) {
        return module;
    }
    let (Some(table), Some(size), Some(count)) =
        (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56))
    else {
        return module;
    };
    for number in 0..usize::from(count) {
        let Some(at) = usize::try_from(table)
            .ok()
            .and_then(|table| table.checked_add(number * usize::from(size)))
        else {
            break;
        };
        let (Some(kind), Some(offset), Some(address), Some(length)) = (
            u32_at(head, at),
            u64_at(head, at.saturating_add(8)),
            u64_at(head, at.saturating_add(16)),
            u64_at(head, at.saturating_add(32)),
        ) else {
            break;
        };
        match kind {
            libc::PT_LOAD => module.segments.push((offset, length, address)),
            libc::PT_NOTE => {
                if let Some(id) = read_at(offset, length).and_then(|notes| build_id(&notes)) {
                    module.build_id = id;
                }
            }
            _ => {}
        }
    }
    module
}

/// Reads what is needed of a module's file.
fn read_module(path: &str) -> ModuleFile {
    let Some(file) = File::open(path) else {
        return ModuleFile {
            path: path.to_owned(),
            ..ModuleFile::default()
        };
    };
    let head = file.read_up_to(HEAD_BYTES);
    read_headers(path, &head, |offset, size| {
        if size > LONGEST_NOTES {
            None
        } else {
            file.read_at(offset, size)
        }
    })
}

/// The GNU build id among a file's notes.
fn build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    const GNU_BUILD_ID: u32 = 3;
    while notes.len() >= 12 {
        let name_bytes = u32_at(notes, 0)? as usize;
        let id_bytes = u32_at(notes, 4)? as usize;
        let kind = u32_at(notes, 8)?;
        let name_end = 12usize.checked_add(name_bytes)?;
        let id_start = name_end.checked_next_multiple_of(4)?;
        let id_end = id_start.checked_add(id_bytes)?;
        if kind == GNU_BUILD_ID && notes.get(12..name_end)? == b"GNU\0" {
            return notes.get(id_start..id_end).map(<[u8]>::to_vec);
        }
        notes = notes.get(id_end.checked_next_multiple_of(4)?..)?;
    }
    None
}

/// One line of `/proc/thread-self/maps` about executable pages of a file: start, end, offset, path.
fn parse_line(line: &str) -> Option<(u64, u64, u64, &str)> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    // What is not executable comes and goes unseen by us (the loader's own cache, say), and holds no code.
    let permissions = words.next()?;
    if !permissions.contains('x') {
        return None;
    }
    let offset = words.next()?;
    let path = words.nth(2)?.trim_start();
    let number = |text| u64::from_str_radix(text, 16).ok();
    path.starts_with('/').then_some(()).and(Some((
        number(start)?,
        number(end)?,
        number(offset)?,
        path,
    )))
}

impl Modules {
    /// Forgets where objects lie: some were unloaded.
    pub(crate) fn forget(&mut self) {
        self.spans.clear();
    }

    /// Looks at the process's map again.
    pub(crate) fn refresh(&mut self) {
        let Some(map) = file::read("/proc/thread-self/maps", LONGEST_MAP) else {
            return;
        };
        let map = String::from_utf8_lossy(&map);
        self.spans.clear();
        for (start, end, offset, path) in map.lines().filter_map(parse_line) {
            let module = match self.files.iter().position(|file| file.path == path) {
                Some(module) => module,
                None => {
                    self.files.push(read_module(path));
                    self.files.len() - 1
                }
            };
            self.spans.insert(
                start,
                Span {
                    end,
                    offset,
                    module,
                },
            );
        }
    }

    /// The module an address lies in (by its number) and the address as the file's headers count it.
    pub(crate) fn locate(&self, address: u64) -> Option<(usize, u64)> {
        let (&start, span) = self.spans.range(..=address).next_back()?;
        if address >= span.end {
            return None;
        }
        let offset = address - start + span.offset;
        let stated = self
            .files
            .get(span.module)?
            .segments
            .iter()
            .find(|(from, length, _)| (*from..from.saturating_add(*length)).contains(&offset))
            .map_or(offset, |(from, _, stated)| offset - from + stated);
        Some((span.module, stated))
    }

    /// The modules, by number.
    pub(crate) fn files(&self) -> &[ModuleFile] {
        &self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_function_is_found_in_this_file() {
        let mut modules = Modules::default();
        modules.refresh();
        let address = this_function_is_found_in_this_file as *const () as u64;
        let (module, stated) = modules.locate(address).expect("mapped");
        let path = std::env::current_exe().expect("known");
        let file = &modules.files()[module];
        assert_eq!(file.path, path.to_string_lossy());
        assert!(stated > 0 && stated < 1 << 32, "{stated:x}");
        assert!(modules.locate(1).is_none());
    }

    #[test]
    fn hostile_headers_end_without_harm() {
        let mut head = vec![0xffu8; 4096];
        head[..5].copy_from_slice(b"\x7fELF\x02");
        assert!(read_headers("/x", &head, |_, _| None).build_id.is_empty());
        assert_eq!(read_headers("/x", b"", |_, _| None).segments, []);
        for length in 0..64 {
            read_headers("/x", &head[..length], |_, _| Some(head.clone()));
            build_id(&head[..length]);
        }
    }

    #[test]
    fn lines_of_the_map_are_read() {
        assert_eq!(
            parse_line("7f00-7f10 r-xp 00001000 fe:00 123                        /usr/lib/a b.so"),
            Some((0x7f00, 0x7f10, 0x1000, "/usr/lib/a b.so"))
        );
        for line in [
            "",
            "7f00-7f10 rw-p 0 00:00 0 ",
            "7f00-7f10 r--p 00000000 fe:00 123 /etc/ld.so.cache",
            "7f00-7f10 rw-p 0 00:00 0          [heap]",
            "x-y r 0 0 0 /a",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }
}
