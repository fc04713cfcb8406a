//! A shared library as its file says it will be in memory: functions and variables by address, and what the loader puts into
//! the slots through which calls go.
//!
//! Invariant: names are for people and for lists; two instances of a generic function share one.

use std::collections::{BTreeMap, HashMap};

use iced_x86::{Decoder, DecoderOptions, Instruction};
use object::elf::{R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, R_X86_64_RELATIVE};
use object::read::elf::ElfFile64;
use object::{
    Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget,
    SectionKind, SymbolKind,
};

/// What the loader puts at an address.
pub(crate) enum Slot {
    /// The address of another library's function, by its name.
    Import(String),
    /// An address of this library.
    Internal(u64),
}

/// A range of addresses with a name.
struct Named {
    end: u64,
    name: String,
}

/// The library.
pub(crate) struct Image<'a> {
    functions: BTreeMap<u64, Named>,
    variables: BTreeMap<u64, Named>,
    slots: HashMap<u64, Slot>,
    code: Vec<(u64, &'a [u8])>,
    exports: Vec<u64>,
}

impl<'a> Image<'a> {
    /// Reads a library that has its symbol table.
    pub(crate) fn read(bytes: &'a [u8]) -> Image<'a> {
        let file: ElfFile64<'a> = ElfFile64::parse(bytes).expect("an ELF file");
        let mut functions = BTreeMap::new();
        let mut variables = BTreeMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            let row = Named {
                end: symbol.address() + symbol.size(),
                name: readable(symbol.name().unwrap_or("?")),
            };
            match symbol.kind() {
                SymbolKind::Text if symbol.size() > 0 => functions.insert(symbol.address(), row),
                SymbolKind::Data => variables.insert(symbol.address(), row),
                _ => continue,
            };
        }
        let code = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .filter_map(|section| Some((section.address(), section.data().ok()?)))
            .collect();
        let exports = file
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text)
            .map(|symbol| symbol.address())
            .collect();
        Image {
            functions,
            variables,
            slots: slots(&file),
            code,
            exports,
        }
    }

    /// The functions: where each begins and ends, and its name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (u64, u64, &str)> {
        self.functions
            .iter()
            .map(|(&start, row)| (start, row.end, row.name.as_str()))
    }

    /// Where exported functions begin.
    pub(crate) fn exports(&self) -> &[u64] {
        &self.exports
    }

    /// Where the function that has an address begins.
    pub(crate) fn function_at(&self, address: u64) -> Option<u64> {
        at(&self.functions, address).map(|(start, _)| start)
    }

    /// The name of the variable that has an address.
    pub(crate) fn variable_at(&self, address: u64) -> Option<&str> {
        at(&self.variables, address).map(|(_, name)| name)
    }

    /// What the loader puts at an address.
    pub(crate) fn slot(&self, address: u64) -> Option<&Slot> {
        self.slots.get(&address)
    }

    /// The functions whose addresses lie in tables.
    pub(crate) fn functions_in_tables(&self) -> impl Iterator<Item = u64> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Internal(target) if self.functions.contains_key(target) => Some(*target),
            _ => None,
        })
    }

    /// The instructions of a range.
    pub(crate) fn instructions(&self, start: u64, end: u64) -> Vec<Instruction> {
        self.code
            .iter()
            .find(|(address, bytes)| (*address..address + bytes.len() as u64).contains(&start))
            .and_then(|(address, bytes)| {
                let end = (end - address).min(bytes.len() as u64) as usize;
                bytes.get((start - address) as usize..end)
            })
            .map(|bytes| {
                Decoder::with_ip(64, bytes, start, DecoderOptions::NONE)
                    .into_iter()
                    .collect()
            })
            .unwrap_or_default()
    }
}

fn at(rows: &BTreeMap<u64, Named>, address: u64) -> Option<(u64, &str)> {
    rows.range(..=address)
        .next_back()
        .filter(|(_, row)| address < row.end)
        .map(|(&start, row)| (start, row.name.as_str()))
}

/// What the dynamic relocations fill in.
fn slots(file: &ElfFile64<'_>) -> HashMap<u64, Slot> {
    let symbols = file
        .dynamic_symbol_table()
        .expect("a shared library has one");
    let relocations = file
        .dynamic_relocations()
        .expect("a shared library has some");
    let slot = |relocation: object::Relocation| {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            return None;
        };
        if r_type == R_X86_64_RELATIVE {
            return Some(Slot::Internal(relocation.addend() as u64));
        }
        let RelocationTarget::Symbol(index) = relocation.target() else {
            return None;
        };
        if ![R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, R_X86_64_64].contains(&r_type) {
            return None;
        }
        let symbol = symbols.symbol_by_index(index).ok()?;
        // One of its own is named, not followed: another library's may come before it.
        Some(Slot::Import(symbol.name().ok()?.to_owned()))
    };
    relocations
        .filter_map(|(address, relocation)| Some((address, slot(relocation)?)))
        .collect()
}

/// A symbol's name as a person would write it: demangled, without generic arguments and hash.
fn readable(symbol: &str) -> String {
    let full = format!("{:#}", rustc_demangle::demangle(symbol)).replace("->", "→");
    if full.starts_with('<') {
        return full; // `<Type as Trait>::method` keeps its type
    }
    let mut depth = 0;
    let mut short = String::new();
    for letter in full.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth == 0 => short.push(letter),
            _ => {}
        }
    }
    short
        .replace("::::", "::")
        .trim_end_matches("::")
        .to_owned()
}
