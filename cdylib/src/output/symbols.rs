//! Symbol tables of ELF files, read with a handful of system calls: sections found, `.symtab` (or `.dynsym`) and its
//! strings read whole, nothing mapped.

use super::elf::{IDENTITY, u16_at, u32_at, u64_at};
use crate::sys::file::File;

const SECTION_HEADER_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const TYPE_SYMTAB: u32 = 2;
const TYPE_DYNSYM: u32 = 11;
/// `STT_FUNC` and `STT_GNU_IFUNC`.
const FUNCTION_TYPES: [u8; 2] = [2, 10];

/// A section's header, as far as it is needed.
#[derive(Clone, Copy)]
struct Section {
    kind: u32,
    name: u32,
    offset: u64,
    size: u64,
    link: u32,
}

/// What was found about the addresses of one file.
pub(crate) struct Found {
    /// Mangled names, in the order of the addresses asked for.
    pub(crate) names: Vec<Option<Vec<u8>>>,
    /// Size of the debug information that the file holds, bytes.
    pub(crate) debug_bytes: u64,
}

/// The functions that addresses (as the file's headers count them) lie in. `None`: not an ELF file that can be read.
pub(crate) fn functions_at(path: &str, addresses: &[u64]) -> Option<Found> {
    let file = File::open(path)?;
    let header = file.read_at(0, 64)?;
    if header.get(..5) != Some(IDENTITY) {
        return None;
    }
    let sections = sections(&file, &header)?;
    let names = section_names(&file, &header, &sections);
    let debug_bytes = sections
        .iter()
        .filter(|section| section_name(&names, section.name) == Some(b".debug_info"))
        .map(|section| section.size)
        .sum();
    let table = [TYPE_SYMTAB, TYPE_DYNSYM]
        .iter()
        .find_map(|kind| sections.iter().find(|section| section.kind == *kind));
    let names = table
        .and_then(|table| look_up(&file, table, &sections, addresses))
        .unwrap_or_else(|| vec![None; addresses.len()]);
    Some(Found { names, debug_bytes })
}

fn sections(file: &File, header: &[u8]) -> Option<Vec<Section>> {
    let offset = u64_at(header, 40)?;
    let count = u64::from(u16_at(header, 60)?);
    let bytes = file.read_at(offset, count * SECTION_HEADER_BYTES as u64)?;
    bytes
        .chunks_exact(SECTION_HEADER_BYTES)
        .map(|entry| {
            Some(Section {
                name: u32_at(entry, 0)?,
                kind: u32_at(entry, 4)?,
                offset: u64_at(entry, 24)?,
                size: u64_at(entry, 32)?,
                link: u32_at(entry, 40)?,
            })
        })
        .collect()
}

fn section_names(file: &File, header: &[u8], sections: &[Section]) -> Vec<u8> {
    u16_at(header, 62)
        .and_then(|index| sections.get(usize::from(index)))
        .and_then(|section| file.read_at(section.offset, section.size))
        .unwrap_or_default()
}

fn section_name(names: &[u8], at: u32) -> Option<&[u8]> {
    names.get(at as usize..)?.split(|&byte| byte == 0).next()
}

/// Goes through a symbol table once, with all addresses.
fn look_up(
    file: &File,
    table: &Section,
    sections: &[Section],
    addresses: &[u64],
) -> Option<Vec<Option<Vec<u8>>>> {
    let symbols = file.read_at(table.offset, table.size)?;
    let strings = sections.get(table.link as usize)?;
    let strings = file.read_at(strings.offset, strings.size)?;
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_unstable_by_key(|&at| addresses.get(at));
    let sorted: Vec<u64> = order
        .iter()
        .filter_map(|&at| addresses.get(at).copied())
        .collect();
    let mut names = vec![None; addresses.len()];
    for symbol in symbols.chunks_exact(SYMBOL_BYTES) {
        let (Some(name), Some(&kind), Some(start), Some(size)) = (
            u32_at(symbol, 0),
            symbol.get(4),
            u64_at(symbol, 8),
            u64_at(symbol, 16),
        ) else {
            continue;
        };
        if !FUNCTION_TYPES.contains(&(kind & 15)) || start == 0 {
            continue;
        }
        let end = start.saturating_add(size);
        let first = sorted.partition_point(|&address| address < start);
        let inside = sorted
            .get(first..)
            .unwrap_or(&[])
            .iter()
            .take_while(|&&address| address < end)
            .count();
        for at in order.get(first..first + inside).unwrap_or(&[]) {
            if let Some(found) = names.get_mut(*at) {
                *found = section_name(&strings, name).map(<[u8]>::to_vec);
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_function_is_named_by_its_file() {
        let path = std::env::current_exe().expect("known");
        let mut modules = super::super::modules::Modules::default();
        modules.refresh();
        let here = this_function_is_named_by_its_file as *const () as u64;
        let (_, stated) = modules.locate(here).expect("mapped");
        let found = functions_at(&path.to_string_lossy(), &[1, stated + 1]).expect("an ELF file");
        assert_eq!(found.names[0], None);
        let name = String::from_utf8(found.names[1].clone().expect("named")).expect("text");
        assert!(
            name.contains("this_function_is_named_by_its_file"),
            "{name}"
        );
    }

    #[test]
    fn what_is_no_elf_file_has_no_names() {
        assert!(functions_at("/proc/self/maps", &[1]).is_none());
        assert!(functions_at("/nonexistent", &[1]).is_none());
        assert!(functions_at("/dev/null", &[1]).is_none());
    }
}
