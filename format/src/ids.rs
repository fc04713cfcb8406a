//! Handles into a capture's tables. Zero is never a row: it means "none" (or, for stacks, the empty stack).

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Position of the row in its table (rows are numbered from 1), or `None` for the zero handle.
            pub fn index(self) -> Option<usize> {
                (self.0 as usize).checked_sub(1)
            }
        }
    };
}

id! {
    /// A string, numbered in the order of the `String` records.
    StringId
}
id! {
    /// A module (an ELF file mapped by the program), numbered in the order of the `Module` records.
    ModuleId
}
id! {
    /// A frame (a Python line or a native address), numbered in the order of the `Frame` records.
    FrameId
}
id! {
    /// A call stack as a node of the stack tree, numbered in the order of the `Stack` records; 0 is the empty stack.
    StackId
}
id! {
    /// A call site (a domain and a stack), numbered in the order of the `Site` records.
    SiteId
}
