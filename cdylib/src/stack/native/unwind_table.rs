//! Unwind tables of loaded objects: `.eh_frame_hdr` leads to an entry of `.eh_frame`, of which `gimli` makes a row.
//!
//! Sources: Linux Standard Base, "Exception Frames"; DWARF 5 §6.4. Entered under the lock around the rules.
//!
//! Invariant: the tables of an object are read only for an address in its code that a call will return to: as long as
//! that call has not returned, the object is loaded.

use gimli::read::{
    CfaRule, EhFrame, RegisterRule, UnwindContext, UnwindContextStorage, UnwindSection,
    UnwindTableRow,
};
use gimli::{BaseAddresses, EhFrameOffset, NativeEndian, Register, X86_64};

use super::rule::{Base, Rule};
use crate::sys::objects;

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`, `DW_EH_PE_udata4`, `DW_EH_PE_datarel | DW_EH_PE_sdata4`: what linkers write.
const EXPECTED_HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
/// Bytes in front of the search table, and of a row of it.
const HEADER_BYTES: usize = 12;
const ROW_BYTES: usize = 8;
/// Longer entries are 64-bit DWARF, which compilers do not write, or none.
const LONGEST_ENTRY: usize = 1 << 20;

/// Registers that a row may have rules for: the 16 general ones and the return address. `gimli`'s own storage has room for
/// 192, and its rows, several kilobytes each, go over the stack, which is the program's here. A row with rules for more is
/// not read: the frame's rule is unknown.
const REGISTERS: usize = 17;
/// States that an entry may remember at a time.
const REMEMBERED: usize = 4;

/// Small rows, and those remembered on the shim's heap.
pub(super) struct SmallRows;

impl UnwindContextStorage<usize> for SmallRows {
    type Rules = [(Register, RegisterRule<usize>); REGISTERS];
    type Stack = Box<[UnwindTableRow<usize, Self>; REMEMBERED]>;
}

/// What reading needs of memory, kept between calls.
pub(super) type Scratch = UnwindContext<usize, SmallRows>;

/// Reads a value of an unwind table.
///
/// # Safety
/// `address` lies in the unwind tables of an object that stays loaded.
unsafe fn read<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's promise; tables are packed, so nothing is aligned.
    unsafe { (address as *const T).read_unaligned() }
}

/// The entry of the function that code at an address belongs to, by binary search: where `.eh_frame` begins, and the entry.
///
/// # Safety
/// As for [`read`].
unsafe fn find_entry(table: usize, code: usize) -> Option<(usize, usize)> {
    // SAFETY: the header is 12 bytes long, and its count says how many rows follow.
    unsafe {
        if read::<[u8; 4]>(table) != EXPECTED_HEADER {
            return None;
        }
        let section = (table + 4).wrapping_add_signed(read::<i32>(table + 4) as isize);
        let row = |number: usize| table + HEADER_BYTES + number * ROW_BYTES;
        let start_of = |number| table.wrapping_add_signed(read::<i32>(row(number)) as isize);
        let (mut low, mut high) = (0, read::<u32>(table + 8) as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            if start_of(middle) <= code {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let entry = read::<i32>(row(low.checked_sub(1)?) + 4) as isize;
        Some((section, table.wrapping_add_signed(entry)))
    }
}

/// The function around an address of code, start and end: what its unwind entry covers.
///
/// # Safety
/// The object that the code belongs to stays loaded.
pub(super) unsafe fn function_around(code: usize) -> Option<(usize, usize)> {
    // SAFETY: the caller's promise.
    unsafe {
        with_entry(code, |entry, _, _| {
            let start = entry.initial_address() as usize;
            Some((start, start + entry.len() as usize))
        })
    }
}

type Entry<'a> = gimli::read::FrameDescriptionEntry<gimli::EndianSlice<'a, NativeEndian>>;

/// # Safety
/// As for [`function_around`].
unsafe fn with_entry<T>(
    code: usize,
    use_it: impl FnOnce(
        &Entry<'_>,
        &EhFrame<gimli::EndianSlice<'_, NativeEndian>>,
        &BaseAddresses,
    ) -> Option<T>,
) -> Option<T> {
    let object = objects::of_code(code)?;
    // SAFETY: the caller's promise, and the object's own tables; the entry begins with its length.
    let (section, entry, length) = unsafe {
        let (section, entry) = find_entry(object.unwind_table, code)?;
        (section, entry, read::<u32>(entry) as usize)
    };
    let end = entry.checked_add(length + 4)?;
    if length > LONGEST_ENTRY || entry < section || end > object.end {
        return None;
    }
    // SAFETY: the section from its start to the end of the entry: read-only data of a loaded object.
    let bytes = unsafe { core::slice::from_raw_parts(section as *const u8, end - section) };
    let frames = EhFrame::new(bytes, NativeEndian);
    let bases = BaseAddresses::default().set_eh_frame(section as u64);
    let offset = EhFrameOffset(entry - section);
    let entry = frames
        .fde_from_offset(&bases, offset, EhFrame::cie_from_offset)
        .ok()?;
    entry
        .contains(code as u64)
        .then(|| use_it(&entry, &frames, &bases))?
}

/// How to leave the frame of the function that a call returns to at `return_address`.
///
/// # Safety
/// `return_address` lies on a stack, in a frame that has not returned.
pub(super) unsafe fn rule(return_address: usize, scratch: &mut Scratch) -> Rule {
    // The call lies before the address that it returns to, which can even belong to the next function.
    let call = return_address.wrapping_sub(1);
    let unknown = Rule::unknown(return_address);
    // SAFETY: the caller's promise.
    let found = unsafe {
        with_entry(call, |entry, frames, bases| {
            if entry.is_signal_trampoline() {
                return None;
            }
            let row = entry
                .unwind_info_for_address(frames, bases, scratch, call as u64)
                .ok()?;
            let base = match row.cfa() {
                CfaRule::RegisterAndOffset { register, .. } if *register == X86_64::RSP => {
                    Base::StackPointer
                }
                CfaRule::RegisterAndOffset { register, .. } if *register == X86_64::RBP => {
                    Base::FramePointer
                }
                _ => return None,
            };
            let CfaRule::RegisterAndOffset { offset, .. } = row.cfa() else {
                return None;
            };
            match row.register(X86_64::RA) {
                Some(RegisterRule::Offset(-8)) => {}
                None | Some(RegisterRule::Undefined) => {
                    return Some(Rule::outermost(return_address));
                }
                _ => return None,
            }
            let saved_at = match row.register(X86_64::RBP) {
                None | Some(RegisterRule::SameValue) => None,
                Some(RegisterRule::Offset(offset)) => Some(i32::try_from(offset).ok()?),
                // Whoever is outside cannot ask for it; if somebody does, the walk ends there.
                _ => return None,
            };
            Some(Rule::new(
                return_address,
                base,
                i32::try_from(*offset).ok()?,
                saved_at,
            ))
        })
    };
    found.unwrap_or(unknown)
}
