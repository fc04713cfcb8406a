//! Names of native addresses, found in the traced process after recording has stopped.
//!
//! Symbol tables come first: they are read in about a millisecond. Where they have no name and the file's debug
//! information is small, `backtrace` is asked; reading a large one (a libpython with debug information) takes 18–59 ms.
//! What is left is `lib+0xoffset`, and the command line names it from the capture.

use core::ffi::c_void;
use std::collections::BTreeMap;

use super::modules::Modules;
use super::symbols;
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

/// Names for return addresses, in their order; `None` for those that have none, or that the time did not suffice for.
pub(crate) fn of_return_addresses(
    modules: &Modules,
    places: &[Place],
    effort: Effort,
) -> Vec<Option<String>> {
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
