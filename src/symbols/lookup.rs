//! The functions at addresses of one module: lines and inlined functions from debug information, else names from symbols.
//!
//! All addresses of a module are asked for at once, so a file is read once. What is in memory is one module's tables: a
//! symbol is 48 bytes until its name is asked for, and of the debug information the units that the addresses lie in.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::{Object, ObjectSymbol, SymbolKind};

use super::files::{self, Files};

/// Symbols before an address that are looked at for the function that it lies in.
const MAX_SYMBOLS_BACK: usize = 8;

/// One function at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Its name, demangled; empty when unknown.
    pub(super) function: String,
    /// Source file.
    pub(super) file: Option<String>,
    /// Source line, 0 when unknown.
    pub(super) line: u32,
}

/// The functions at each of the addresses, innermost first, the last one being the one that holds the code; none where
/// nothing is known. `step` is called after each address.
pub(super) fn functions(
    files: &Files,
    addresses: &[u64],
    mut step: impl FnMut(),
) -> Vec<Vec<Code>> {
    let symbols = symbol_names(&files.symbols, addresses);
    let lines = files.lines.as_deref();
    let loader =
        lines.and_then(|path| Loader::new_with_sup(path, files.supplement.as_deref()).ok());
    let of_address = |(&address, symbol): (&u64, Option<String>)| {
        step();
        let known = loader.as_ref().map(|loader| with_lines(loader, address));
        with_symbol(known.unwrap_or_default(), symbol)
    };
    addresses.iter().zip(symbols).map(of_address).collect()
}

/// The functions with the name of the symbol that holds the code, where that is the better one.
fn with_symbol(mut codes: Vec<Code>, symbol: Option<String>) -> Vec<Code> {
    let Some(symbol) = symbol else {
        if codes.last().is_some_and(|code| code.function.is_empty()) {
            codes.clear();
        }
        return codes;
    };
    match codes.last_mut() {
        Some(holder) => {
            let demangled = demangled(&symbol);
            // `list_resize.isra.0` is how a compiler calls a version of list_resize.
            let is_version = symbol.contains('.') && !holder.function.is_empty();
            let is_qualified = demangled != symbol;
            // Debug information calls strdup `__strdup`, and fopen `_IO_new_fopen`.
            let is_plainer = holder.function.ends_with(&symbol);
            if !is_version && (is_qualified || is_plainer || holder.function.is_empty()) {
                holder.function = demangled;
            }
        }
        None => codes.push(Code {
            function: demangled(&symbol),
            ..Code::default()
        }),
    }
    codes
}

/// What debug information says of an address.
fn with_lines(loader: &Loader, address: u64) -> Vec<Code> {
    let mut codes = Vec::new();
    let Ok(mut frames) = loader.find_frames(address) else {
        return codes;
    };
    // What was read before an error is right.
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.as_ref();
        let function = function.and_then(|name| name.demangle().ok());
        let location = frame.location;
        codes.push(Code {
            function: function.map_or_else(String::new, Cow::into_owned),
            file: location.as_ref().and_then(|at| at.file).map(str::to_string),
            line: location.and_then(|at| at.line).unwrap_or(0),
        });
    }
    // An inlined function without a name tells nothing; the one that holds the code may get its symbol's.
    let holder = codes.pop();
    codes.retain(|code| !code.function.is_empty());
    codes.extend(holder);
    codes
}

/// The symbols that the addresses lie in, by the first of the files that has one.
fn symbol_names(paths: &[PathBuf], addresses: &[u64]) -> Vec<Option<String>> {
    let mut names = vec![None; addresses.len()];
    for path in paths {
        let nameless: Vec<_> = (0..names.len()).filter(|&at| names[at].is_none()).collect();
        let wanted: Vec<_> = nameless.iter().map(|&at| addresses[at]).collect();
        let found = symbol_names_in(path, &wanted).unwrap_or_default();
        for (at, name) in nameless.into_iter().zip(found) {
            names[at] = name;
        }
    }
    names
}

fn symbol_names_in(path: &Path, addresses: &[u64]) -> Result<Vec<Option<String>>, String> {
    let file = files::open(path)?;
    let elf = files::parse(&file)?;
    let mut symbols: Vec<_> = elf
        .symbols()
        .chain(elf.dynamic_symbols())
        .filter(|symbol| {
            symbol.is_definition() && symbol.kind() == SymbolKind::Text && symbol.size() > 0
        })
        .map(|symbol| (symbol.address(), symbol.size(), symbol))
        .collect();
    symbols.sort_by_key(|&(start, size_bytes, _)| (start, size_bytes));
    let bounds: Vec<_> = symbols.iter().map(|symbol| (symbol.0, symbol.1)).collect();
    let name_at = |&address: &u64| {
        let last = covering(&bounds, address)?;
        let aliases = (0..=last)
            .rev()
            .take_while(|&at| bounds[at] == bounds[last]);
        let names = aliases.filter_map(|at| symbols[at].2.name().ok());
        best(names).map(str::to_string)
    };
    Ok(addresses.iter().map(name_at).collect())
}

/// The last of the symbols (start, size in bytes; ascending) that covers an address.
fn covering(symbols: &[(u64, u64)], address: u64) -> Option<usize> {
    let after = symbols.partition_point(|&(start, _)| start <= address);
    let nearest = (0..after).rev().take(MAX_SYMBOLS_BACK);
    let covers = |&at: &usize| address - symbols[at].0 < symbols[at].1;
    nearest.into_iter().find(covers)
}

/// Of the names of one function, the shortest, without the leading underscores of aliases, says it best.
fn best<'name>(names: impl Iterator<Item = &'name str>) -> Option<&'name str> {
    names.min_by_key(|name| (name.len(), *name))
}

fn demangled(name: &str) -> String {
    addr2line::demangle_auto(Cow::Borrowed(name), None).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_between_functions_has_no_name() {
        let symbols = [(0x10, 8), (0x40, 8)];
        let at = |address| covering(&symbols, address);
        assert_eq!(
            [0x0f, 0x10, 0x17, 0x18, 0x47, 0x48].map(at),
            [None, Some(0), Some(0), None, Some(1), None]
        );
        assert_eq!(covering(&[(u64::MAX, 1)], u64::MAX), Some(0));
    }

    #[test]
    fn a_function_around_a_smaller_one_covers_the_rest_of_it() {
        let symbols = [(0x10, 0x40), (0x20, 4)];
        assert_eq!(covering(&symbols, 0x21), Some(1));
        assert_eq!(covering(&symbols, 0x24), Some(0));
    }

    #[test]
    fn of_aliases_the_plainest_is_shown() {
        let names = ["__libc_malloc", "malloc", "__malloc"];
        assert_eq!(best(names.into_iter()), Some("malloc"));
    }

    #[test]
    fn a_symbol_names_the_function_where_it_says_more() {
        let named = |function: &str, symbol: Option<&str>| {
            let code = Code {
                function: function.into(),
                line: 7,
                ..Code::default()
            };
            let codes = with_symbol(vec![code], symbol.map(str::to_string));
            codes.first().map(|code| code.function.clone())
        };
        for (function, symbol, shown) in [
            ("__strdup", Some("strdup"), Some("strdup")),
            (
                "list_resize",
                Some("list_resize.isra.0"),
                Some("list_resize"),
            ),
            ("", Some("list_resize.isra.0"), Some("list_resize.isra.0")),
            ("folded", Some("same"), Some("folded")),
            ("bar", Some("_ZN3foo3barEv"), Some("foo::bar()")),
            ("f", None, Some("f")),
            ("", None, None),
        ] {
            assert_eq!(
                named(function, symbol).as_deref(),
                shown,
                "{function} {symbol:?}"
            );
        }
        let alone = with_symbol(Vec::new(), Some("_ZN3foo3barEv".into()));
        assert_eq!(alone.last().unwrap().function, "foo::bar()");
        assert_eq!(with_symbol(Vec::new(), None), []);
    }
}
