//! Where an answer goes: standard output, or a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use pytrace::error::{Error, Result};

use super::terminal::Terminal;

/// Writes to the file, or to standard output, which is told what it is.
pub(crate) fn write(
    path: Option<&Path>,
    write: impl FnOnce(Terminal, &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = match path {
        Some(path) => File::create(path).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(Terminal::none(), &mut out)?;
            out.flush()
        }),
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            write(Terminal::of_stdout(), &mut out).and_then(|()| out.flush())
        }
    };
    written.map_err(|source| Error::not_written(path, source))
}
