//! A Parquet file: the columns of CSV, for engines that analyse many runs.
//!
//! The format's plain subset: pages of version 1, plain values, gzip, one page a column and row group, no statistics.
//! Row groups are written as they fill up, so memory does not grow with the rows.

mod column;
mod thrift;

use std::io::{self, Write};

use super::events::{EVENT_COLUMNS, EventRows};
use super::flat::{self, COLUMNS, Cell, Header};
use super::stacks::Collapsed;
use super::{Report, title};
use column::Column;
use thrift::Struct;

const MAGIC: &[u8; 4] = b"PAR1";

/// A row group is written when it has this many rows, or this many bytes.
const ROWS: u64 = 1 << 20;
const GROUP_BYTES: usize = 16 << 20;

/// Writes the rows of a report.
pub fn write(report: &Report<'_>, out: impl Write) -> io::Result<()> {
    let mut file = File::new(&COLUMNS, out)?;
    let model = &report.capture.model;
    let mut texts = Collapsed::of(model);
    for row in flat::rows(report) {
        file.row(&flat::cells(model, &mut texts, &row))?;
    }
    file.finish("sites", &title(report))
}

/// Writes the events of a capture; see [`EventRows`].
pub fn write_events(rows: &mut EventRows<'_>, title: &str, out: impl Write) -> io::Result<()> {
    let mut file = File::new(&EVENT_COLUMNS, out)?;
    while let Some(row) = rows.next_row() {
        file.row(&row)?;
    }
    file.finish("events", title)
}

/// A file that is being written.
struct File<W> {
    out: W,
    written_bytes: u64,
    columns: Vec<Column>,
    rows_in_group: u64,
    rows: u64,
    groups: Vec<Struct>,
}

impl<W: Write> File<W> {
    fn new(columns: &[Header], mut out: W) -> io::Result<File<W>> {
        out.write_all(MAGIC)?;
        let columns = columns.iter().map(|&(name, kind)| Column::new(name, kind));
        Ok(File {
            out,
            written_bytes: MAGIC.len() as u64,
            columns: columns.collect(),
            rows_in_group: 0,
            rows: 0,
            groups: Vec::new(),
        })
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.rows += 1;
        self.rows_in_group += 1;
        let held: usize = self.columns.iter().map(Column::size_bytes).sum();
        if self.rows_in_group >= ROWS || held >= GROUP_BYTES {
            self.group()?;
        }
        Ok(())
    }

    fn group(&mut self) -> io::Result<()> {
        let begin = self.written_bytes;
        let mut chunks = Vec::new();
        for column in &mut self.columns {
            let (written, chunk) = column.write(self.written_bytes, &mut self.out)?;
            self.written_bytes += written;
            chunks.push(chunk);
        }
        let mut group = Struct::default();
        group
            .structs(1, chunks)
            .i64(2, (self.written_bytes - begin).cast_signed())
            .i64(3, core::mem::take(&mut self.rows_in_group).cast_signed());
        self.groups.push(group);
        Ok(())
    }

    fn finish(mut self, name: &str, title: &str) -> io::Result<()> {
        if self.rows_in_group > 0 {
            self.group()?;
        }
        let mut root = Struct::default();
        // A schema begins with its root, which has all columns as children.
        root.text(4, name).i32(5, self.columns.len() as i32);
        let columns = self.columns.iter().map(Column::schema);
        let schema = core::iter::once(root).chain(columns).collect();
        let mut of_title = Struct::default();
        of_title.text(1, "pytrace.title").text(2, title);
        let mut footer = Struct::default();
        footer
            .i32(1, 1)
            .structs(2, schema)
            .i64(3, self.rows.cast_signed())
            .structs(4, self.groups)
            .structs(5, vec![of_title])
            .text(6, concat!("pytrace version ", env!("CARGO_PKG_VERSION")));
        let footer = footer.finish();
        let length = u32::try_from(footer.len()).map_err(io::Error::other)?;
        self.out.write_all(&footer)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()
    }
}
