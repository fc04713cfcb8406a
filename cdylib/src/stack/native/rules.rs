//! The process's rules: one for each return address that any walk met, behind one lock, made when a thread's own cache has
//! none.
//!
//! Invariant: a rule stands for the code at its address until objects are unloaded ([`Rules::forget`]).

use super::rule::Rule;
use super::unwind_table::{self, Scratch};
use crate::session;
use crate::stack::names::FastMap;
use crate::sys::objects;

/// The rules.
pub(crate) struct Rules {
    rules: FastMap<usize, Rule>,
    scratch: Option<Box<Scratch>>,
    /// The function that is the interpreter's loop, start and end, as far as one entry of the unwind table covers it.
    interpreter: Option<(usize, usize)>,
    /// Where the shim itself lies.
    own: Option<(usize, usize)>,
}

impl Rules {
    /// No rules yet; `interpreter` is where the interpreter's loop begins (0: not known).
    pub(crate) fn new(interpreter: usize) -> Rules {
        Rules {
            rules: FastMap::default(),
            scratch: None,
            own: objects::of_code(Rules::new as *const () as usize)
                .map(|object| (object.start, object.end)),
            interpreter: (interpreter != 0).then_some((interpreter, interpreter)),
        }
    }

    /// Objects were unloaded: other code may be at their addresses.
    pub(crate) fn forget(&mut self) {
        self.rules.clear();
    }

    /// # Safety
    /// As for [`find`].
    unsafe fn find(&mut self, return_address: usize, may_read: bool) -> Option<Rule> {
        if let Some(rule) = self.rules.get(&return_address) {
            return Some(*rule);
        }
        if !may_read {
            return None;
        }
        if let Some((start, end)) = self.interpreter
            && start == end
        {
            // SAFETY: the interpreter is not unloaded while its code runs.
            self.interpreter = unsafe { unwind_table::function_around(start) };
        }
        let scratch = self
            .scratch
            .get_or_insert_with(|| Box::new(Scratch::new_in()));
        // SAFETY: the caller's promise.
        let mut rule = unsafe { unwind_table::rule(return_address, scratch) };
        let lies_in = |range: Option<(usize, usize)>| {
            range.is_some_and(|(start, end)| (start..end).contains(&return_address.wrapping_sub(1)))
        };
        rule.is_interpreter = lies_in(self.interpreter);
        rule.is_own = lies_in(self.own);
        self.rules.insert(return_address, rule);
        Some(rule)
    }
}

/// The rule for a return address; `None`: it is not known yet, and the tables may not be read now.
///
/// # Safety
/// It lies on a stack, in a frame that has not returned.
#[cold]
#[inline(never)]
pub(super) unsafe fn find(return_address: usize, may_read: bool) -> Option<Rule> {
    match session::current() {
        // SAFETY: the caller's promise.
        Some(session) => unsafe { session.rules.lock().find(return_address, may_read) },
        None => Some(Rule::unknown(return_address)),
    }
}

/// Notes what was learnt about a rule.
pub(super) fn note(rule: Rule) {
    if let Some(session) = session::current() {
        session.rules.lock().rules.insert(rule.return_address, rule);
    }
}
