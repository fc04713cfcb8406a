//! The call graph of a shared library, read from its machine code.
//!
//! Invariant: nothing is left out silently. A call or jump whose target cannot be told is an [`Target::Indirect`], but for
//! jumps through tables of offsets, which stay within their function.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::frame::Frame;
use super::image::{Image, Slot};

/// Where a call or a jump out of a function leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// To the function that begins at this address.
    Function(u64),
    /// To a function that the loader binds, by its name.
    Import(String),
    /// Through a variable of this name, or what was computed (`?`).
    Indirect(String),
}

/// A call, or a jump in the place of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) target: Target,
    /// A jump: the caller's frame is gone by then.
    pub(crate) is_tail: bool,
}

/// A function of the library.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) edges: BTreeSet<Edge>,
    /// Bytes of stack that it takes at most, with its return address.
    pub(crate) frame_bytes: u64,
}

/// The functions, by address.
pub(crate) struct Graph {
    pub(crate) functions: BTreeMap<u64, Function>,
    /// Those that are exported.
    pub(crate) exports: BTreeSet<u64>,
    /// Those whose address is taken: others may be given it.
    pub(crate) given: BTreeSet<u64>,
}

impl Graph {
    /// Reads the call graph of a library with a symbol table.
    pub(crate) fn read(bytes: &[u8]) -> Graph {
        let image = Image::read(bytes);
        let mut given: BTreeSet<u64> = image.functions_in_tables().collect();
        let mut functions = BTreeMap::new();
        for (start, end, name) in image.functions() {
            let instructions = image.instructions(start, end);
            given.extend(
                instructions
                    .iter()
                    .filter_map(|lea| address_taken(&image, lea)),
            );
            let mut frame = Frame::default();
            let mut edges = BTreeSet::new();
            for (at, instruction) in instructions.iter().enumerate() {
                frame.follow(instruction);
                edges.extend(edge(&image, start..end, instruction, &instructions[..at]));
            }
            let function = Function {
                name: name.to_owned(),
                edges,
                frame_bytes: frame.bytes(),
            };
            functions.insert(start, function);
        }
        Graph {
            functions,
            exports: image.exports().iter().copied().collect(),
            given,
        }
    }

    /// The functions of a name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u64> + 'a {
        self.functions
            .iter()
            .filter(move |(_, function)| function.name == name)
            .map(|(&address, _)| address)
    }

    /// What a person calls a target; what is not followed has a `*` before it.
    pub(crate) fn name(&self, target: &Target) -> String {
        match target {
            Target::Function(address) => match self.functions.get(address) {
                Some(function) => function.name.clone(),
                None => format!("?{address:#x}"),
            },
            Target::Import(name) => name.clone(),
            Target::Indirect(name) => format!("*{name}"),
        }
    }
}

/// The function whose address an instruction takes.
fn address_taken(image: &Image<'_>, lea: &Instruction) -> Option<u64> {
    let address = lea.memory_displacement64();
    (lea.mnemonic() == Mnemonic::Lea
        && lea.is_ip_rel_memory_operand()
        && image.function_at(address) == Some(address))
    .then_some(address)
}

/// The way out of a function that an instruction is, if it is one.
fn edge(
    image: &Image<'_>,
    function: core::ops::Range<u64>,
    instruction: &Instruction,
    before: &[Instruction],
) -> Option<Edge> {
    let flow = instruction.flow_control();
    if instruction.mnemonic() == Mnemonic::Syscall {
        return None; // which is a call to the decoder
    }
    let target = match flow {
        FlowControl::Call => direct(image, instruction.near_branch_target()),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
            let target = instruction.near_branch_target();
            if function.contains(&target) {
                return None;
            }
            direct(image, target)
        }
        FlowControl::IndirectCall => indirect(image, instruction, before),
        FlowControl::IndirectBranch if is_through_table(instruction, before) => return None,
        FlowControl::IndirectBranch => indirect(image, instruction, before),
        _ => return None,
    };
    let is_tail = !matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
    Some(Edge { target, is_tail })
}

/// A call by address: to a function, or to an entry of the PLT.
fn direct(image: &Image<'_>, target: u64) -> Target {
    if let Some(function) = image.function_at(target) {
        return Target::Function(function);
    }
    // An entry of the PLT: it jumps through a slot.
    image
        .instructions(target, target + 16)
        .iter()
        .find(|instruction| instruction.flow_control() == FlowControl::IndirectBranch)
        .map_or(Target::Indirect("?".into()), |jump| {
            indirect(image, jump, &[])
        })
}

/// A call through memory or a register: what is in it, as far as the instructions before say.
fn indirect(image: &Image<'_>, call: &Instruction, before: &[Instruction]) -> Target {
    if call.is_ip_rel_memory_operand() {
        return through(image, call.memory_displacement64());
    }
    let unknown = Target::Indirect("?".into());
    if call.op0_kind() != OpKind::Register {
        return unknown;
    }
    match last_write(call.op0_register(), before) {
        Some(load) if !load.is_ip_rel_memory_operand() => unknown,
        Some(load) if load.mnemonic() == Mnemonic::Mov => {
            through(image, load.memory_displacement64())
        }
        Some(load) if load.mnemonic() == Mnemonic::Lea => {
            direct(image, load.memory_displacement64())
        }
        _ => unknown,
    }
}

/// The instruction that put into a register what is in it, in the order in which they lie. What an early return restores is
/// not in it.
fn last_write(register: Register, before: &[Instruction]) -> Option<&Instruction> {
    let others = [
        Mnemonic::Cmp,
        Mnemonic::Test,
        Mnemonic::Push,
        Mnemonic::Pop,
        Mnemonic::Call,
    ];
    before.iter().rev().find(|instruction| {
        instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().full_register() == register.full_register()
            && !others.contains(&instruction.mnemonic())
    })
}

/// A call through a variable.
fn through(image: &Image<'_>, address: u64) -> Target {
    // A variable that can change is named, whatever is in it at first.
    if let Some(name) = image.variable_at(address) {
        return Target::Indirect(name.to_owned());
    }
    match image.slot(address) {
        Some(Slot::Import(name)) => Target::Import(name.clone()),
        Some(Slot::Internal(target)) => direct(image, *target),
        None => Target::Indirect(format!("?{address:#x}")),
    }
}

/// Whether a jump is to a register that is the sum of a table's address and an offset read from it: a `match`.
fn is_through_table(jump: &Instruction, before: &[Instruction]) -> bool {
    let near = &before[before.len().saturating_sub(8)..];
    jump.op0_kind() == OpKind::Register
        && last_write(jump.op0_register(), near).is_some_and(|add| add.mnemonic() == Mnemonic::Add)
        && near
            .iter()
            .any(|instruction| instruction.mnemonic() == Mnemonic::Movsxd)
}
