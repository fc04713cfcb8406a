//! What standard output is: a terminal of some width, or a file.

use std::env;
use std::io::{self, IsTerminal};

/// Columns of text that goes to no terminal.
const FILE_WIDTH: usize = 100;

/// How text may be drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Columns.
    pub(crate) width: usize,
    /// Whether colours may be used: on a terminal that can show them, unless NO_COLOR is set.
    pub(crate) colour: bool,
}

impl Terminal {
    /// What a file is.
    pub(crate) fn none() -> Terminal {
        Terminal {
            width: FILE_WIDTH,
            colour: false,
        }
    }

    /// What standard output is.
    pub(crate) fn of_stdout() -> Terminal {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Terminal::none();
        }
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
        Terminal {
            width: if columns == 0 {
                FILE_WIDTH
            } else {
                usize::from(columns)
            },
            colour: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb"),
        }
    }
}
