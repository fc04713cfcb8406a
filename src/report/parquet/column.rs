//! One column of a row group: its cells, gathered, then written as one page.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::flat::{Cell, Kind};
use super::thrift::{Struct, push_varint};

/// Values of the format's enumerations.
pub(super) const INT64: i32 = 2;
pub(super) const BYTE_ARRAY: i32 = 6;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const GZIP: i32 = 2;
const DATA_PAGE: i32 = 0;

/// The cells of a column since the last row group.
#[derive(Debug)]
pub(super) struct Column {
    name: &'static str,
    kind: Kind,
    /// Runs of cells that are there (1) or not (0): how many, and which.
    runs: Vec<(u64, u8)>,
    cells: u64,
    /// The cells that are there.
    values: Vec<u8>,
}

impl Column {
    pub(super) fn new(name: &'static str, kind: Kind) -> Column {
        Column {
            name,
            kind,
            runs: Vec::new(),
            cells: 0,
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, cell: &Cell) {
        let is_there = u8::from(*cell != Cell::Nothing);
        match self.runs.last_mut() {
            Some((length, which)) if *which == is_there => *length += 1,
            _ => self.runs.push((1, is_there)),
        }
        self.cells += 1;
        match cell {
            Cell::Text(text) => {
                // A name is far shorter than 4 GiB: captures bound their frames at 16 MiB.
                let length = u32::try_from(text.len()).unwrap_or(0);
                self.values.extend(length.to_le_bytes());
                self.values.extend(&text.as_bytes()[..length as usize]);
            }
            Cell::Number(number) => self.values.extend(number.to_le_bytes()),
            Cell::Nothing => {}
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.values.len()
    }

    /// Writes the cells as a page at `offset`, and begins anew. Returns how long it is and what the footer says of it.
    pub(super) fn write(&mut self, offset: u64, out: &mut impl Write) -> io::Result<(u64, Struct)> {
        let mut levels = Vec::new();
        for (length, which) in self.runs.drain(..) {
            push_varint(&mut levels, length << 1);
            levels.push(which);
        }
        let length = u32::try_from(levels.len()).map_err(io::Error::other)?;
        let values = core::mem::take(&mut self.values);
        let plain_bytes = 4 + levels.len() + values.len();
        let mut page = GzEncoder::new(Vec::new(), Compression::fast());
        page.write_all(&length.to_le_bytes())?;
        page.write_all(&levels)?;
        page.write_all(&values)?;
        let page = page.finish()?;

        let cells = core::mem::take(&mut self.cells);
        let mut of_data = Struct::default();
        of_data
            .i32(1, i32::try_from(cells).map_err(io::Error::other)?)
            .i32(2, PLAIN)
            .i32(3, RLE)
            .i32(4, RLE);
        let mut header = Struct::default();
        header
            .i32(1, DATA_PAGE)
            .i32(2, i32::try_from(plain_bytes).map_err(io::Error::other)?)
            .i32(3, i32::try_from(page.len()).map_err(io::Error::other)?)
            .inner(5, of_data);
        let header = header.finish();
        out.write_all(&header)?;
        out.write_all(&page)?;

        let written = (header.len() + page.len()) as u64;
        let mut chunk = Struct::default();
        chunk
            .i32(1, self.physical_type())
            .i32s(2, &[PLAIN, RLE])
            .texts(3, &[self.name])
            .i32(4, GZIP)
            .i64(5, cells.cast_signed())
            .i64(6, (header.len() + plain_bytes) as i64)
            .i64(7, written.cast_signed())
            .i64(9, offset.cast_signed());
        let mut of_chunk = Struct::default();
        of_chunk.i64(2, offset.cast_signed()).inner(3, chunk);
        Ok((written, of_chunk))
    }

    /// What the schema says of it: every cell may be empty.
    pub(super) fn schema(&self) -> Struct {
        const OPTIONAL: i32 = 1;
        const UTF8: i32 = 0;
        const UINT_64: i32 = 14;
        let mut element = Struct::default();
        element
            .i32(1, self.physical_type())
            .i32(3, OPTIONAL)
            .text(4, self.name)
            .i32(
                6,
                match self.kind {
                    Kind::Text => UTF8,
                    Kind::Number => UINT_64,
                },
            );
        element
    }

    fn physical_type(&self) -> i32 {
        match self.kind {
            Kind::Text => BYTE_ARRAY,
            Kind::Number => INT64,
        }
    }
}
