//! Names of native addresses, found in the traced process after recording has stopped.
//!
//! Symbol tables come first: they are read in about a millisecond. Where they have no name and the file's debug
//! information is small, `backtrace` is asked; reading a large one (a libpython with debug information) takes 18–59 ms.
//! What is left is `lib+0xoffset`, and the command line names it from the capture.

use core::ffi::c_void;
use std::collections::BTreeMap;

use pytrace_format::ids::StringId;
use pytrace_format::record::{NativeName, Record};

use super::modules::Modules;
use super::symbols;
use super::tables::{Tables, frame_id};
use crate::aggregate::books::Books;
use crate::session::Session;
use crate::stack::names::{FastMap, FrameRow};
use crate::sys::clock;

/// Time that naming may take in all, nanoseconds.
const BUDGET_NS: u64 = 30_000_000;
/// Files with more debug information than this are named from their symbol tables alone.
const LARGE_DEBUG_BYTES: u64 = 1 << 20;

/// How hard names are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Symbol tables alone: nothing of the loader's is asked. For a thread that holds the GIL, for which a thread that
    /// holds the loader's lock may be waiting.
    Quick,
    /// Debug information too.
    Thorough,
}

/// Where a native frame is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The return address.
    pub(crate) address: usize,
    /// Its module, by number; `None`: in none that is known.
    pub(crate) module: Option<usize>,
    /// The address as the module's headers count it.
    pub(crate) stated: u64,
}

/// Names of the native frames of the sites that the summary will show, found in this process. They refer to strings that are
/// added to the tables, which are read for it.
pub(crate) fn of_top_sites(
    tables: &mut Tables,
    session: &Session,
    books: &Books,
    effort: Effort,
) -> Vec<Record> {
    tables.read(&session.interner);
    let wanted = native_frames_of_top_sites(session, books);
    let names = of_return_addresses(tables.modules(), &tables.places(&wanted), effort);
    let named = wanted.iter().zip(names);
    named
        .filter_map(|((row, _), name)| {
            Some(Record::NativeName(NativeName {
                frame: frame_id(*row),
                function: tables.add_string(name?),
                file: StringId(0),
                line: 0,
            }))
        })
        .collect()
}

/// The native frames (row, address) of the sites that asked for most bytes, most first.
fn native_frames_of_top_sites(session: &Session, books: &Books) -> Vec<(u32, usize)> {
    // Sites that differ in an instruction only are merged by the summary: name more than it lists.
    let most = session.settings.top * 8 + 64;
    let mut sites: Vec<(u64, usize)> = books
        .sites()
        .iter()
        .enumerate()
        .filter(|(_, row)| row.tally.allocations + row.tally.reallocations > 0)
        .map(|(site, row)| (row.tally.requested_bytes, site))
        .collect();
    sites.sort_unstable_by(|left, right| right.cmp(left));
    let interner = session.interner.lock();
    let mut seen = FastMap::default();
    let mut frames = Vec::new();
    for &(_, site) in sites.iter().take(most) {
        let mut node = interner.sites.get(site as u32).map_or(0, |site| site.node);
        while let Some(row) = node.checked_sub(1).and_then(|at| interner.nodes.get(at)) {
            if let Some(FrameRow::Native { address, .. }) = interner.frames.get(row.frame)
                && seen.insert(row.frame, ()).is_none()
            {
                frames.push((row.frame, *address));
            }
            node = row.parent;
        }
    }
    frames
}

/// Names for return addresses, in their order; `None` for those that have none, or that the time did not suffice for.
fn of_return_addresses(modules: &Modules, places: &[Place], effort: Effort) -> Vec<Option<String>> {
    let deadline_ns = clock::monotonic_ns() + BUDGET_NS;
    let mut names = vec![None; places.len()];
    let mut by_module: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        if let Some(module) = place.module {
            // The call lies before the address that it returns to.
            let call = place.stated.saturating_sub(1);
            by_module.entry(module).or_default().push((at, call));
        }
    }
    for (module, wanted) in by_module {
        if clock::monotonic_ns() >= deadline_ns {
            break;
        }
        let Some(file) = modules.files().get(module) else {
            continue;
        };
        let stated: Vec<u64> = wanted.iter().map(|(_, stated)| *stated).collect();
        let Some(found) = symbols::functions_at(&file.path, &stated) else {
            continue;
        };
        for ((at, _), mangled) in wanted.iter().zip(found.names) {
            let name = match mangled {
                Some(mangled) => Some(format!("{:#}", backtrace::SymbolName::new(&mangled))),
                None if effort == Effort::Thorough
                    && found.debug_bytes > 0
                    && found.debug_bytes <= LARGE_DEBUG_BYTES =>
                {
                    places
                        .get(*at)
                        .and_then(|place| from_debug_information(place.address))
                }
                None => None,
            };
            if let Some(entry) = names.get_mut(*at) {
                *entry = name;
            }
        }
    }
    names
}

fn from_debug_information(address: usize) -> Option<String> {
    let mut name = None;
    backtrace::resolve((address - 1) as *mut c_void, |symbol| {
        // Inlined functions come first; the last one is the function that has the code.
        name = symbol.name().map(|found| format!("{found:#}"));
    });
    name
}
