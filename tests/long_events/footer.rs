//! How many rows a Parquet file says it has, of its last bytes alone.
//!
//! The file ends with its footer, the footer's length and a mark. The footer is a struct in Thrift's compact protocol: version, schema,
//! number of rows, and what else nobody asks for here.

/// Longer than the footer of any file of these tests.
const MOST_BYTES: usize = 64 << 20;

/// The last bytes of a file that goes by.
#[derive(Default)]
pub(super) struct End {
    bytes: Vec<u8>,
}

impl End {
    /// Takes in the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * MOST_BYTES {
            self.bytes.drain(..self.bytes.len() - MOST_BYTES);
        }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> u64 {
        let (rest, mark) = self.bytes.split_last_chunk::<4>().expect("a file");
        assert_eq!(mark, b"PAR1");
        let (rest, length) = rest.split_last_chunk::<4>().expect("a length");
        let begin = rest.len() - u32::from_le_bytes(*length) as usize;
        let mut footer = Compact(&rest[begin..]);
        for _version_and_schema in 0..2 {
            let (_, kind) = footer.field();
            footer.skip(kind);
        }
        assert_eq!(footer.field(), (1, I64));
        let zigzag = footer.varint();
        zigzag >> 1
    }
}

const I64: u8 = 6;

/// Thrift's compact protocol, as far as a footer needs it.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().expect("the footer goes on");
        self.0 = rest;
        first
    }

    fn varint(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// How far the field's number is from the last one's, and its kind; (0, 0) at a struct's end.
    fn field(&mut self) -> (u8, u8) {
        let byte = self.byte();
        (byte >> 4, byte & 15)
    }

    fn skip(&mut self, kind: u8) {
        match kind {
            // i32, i64
            5 | I64 => {
                self.varint();
            }
            // a text
            8 => {
                let length = self.varint() as usize;
                self.0 = &self.0[length..];
            }
            // a list
            9 => {
                let head = self.byte();
                let length = match head >> 4 {
                    15 => self.varint(),
                    short => u64::from(short),
                };
                for _ in 0..length {
                    self.skip(head & 15);
                }
            }
            // a struct
            12 => loop {
                match self.field() {
                    (_, 0) => break,
                    (_, kind) => self.skip(kind),
                }
            },
            other => panic!("a footer has no field of kind {other}"),
        }
    }
}
