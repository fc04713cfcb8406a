//! The part of Thrift's compact protocol that the metadata of a Parquet file needs.

/// A struct in the making.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last_field: u8,
}

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    pub(super) fn i32(&mut self, field: u8, number: i32) -> &mut Struct {
        self.key(field, I32);
        push_varint(&mut self.bytes, zigzag(i64::from(number)));
        self
    }

    pub(super) fn i64(&mut self, field: u8, number: i64) -> &mut Struct {
        self.key(field, I64);
        push_varint(&mut self.bytes, zigzag(number));
        self
    }

    pub(super) fn text(&mut self, field: u8, text: &str) -> &mut Struct {
        self.key(field, BINARY);
        push_text(&mut self.bytes, text);
        self
    }

    pub(super) fn inner(&mut self, field: u8, inner: Struct) -> &mut Struct {
        self.key(field, STRUCT);
        self.bytes.extend(inner.finish());
        self
    }

    pub(super) fn i32s(&mut self, field: u8, numbers: &[i32]) -> &mut Struct {
        self.list(field, I32, numbers.len());
        for &number in numbers {
            push_varint(&mut self.bytes, zigzag(i64::from(number)));
        }
        self
    }

    pub(super) fn texts(&mut self, field: u8, texts: &[&str]) -> &mut Struct {
        self.list(field, BINARY, texts.len());
        for text in texts {
            push_text(&mut self.bytes, text);
        }
        self
    }

    pub(super) fn structs(&mut self, field: u8, structs: Vec<Struct>) -> &mut Struct {
        self.list(field, STRUCT, structs.len());
        for inner in structs {
            self.bytes.extend(inner.finish());
        }
        self
    }

    /// Its bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    /// A field: its distance from the one before, and its type. Fields come in ascending order.
    fn key(&mut self, field: u8, kind: u8) {
        self.bytes.push((field - self.last_field) << 4 | kind);
        self.last_field = field;
    }

    fn list(&mut self, field: u8, kind: u8, length: usize) {
        self.key(field, LIST);
        match u8::try_from(length) {
            Ok(length @ ..15) => self.bytes.push(length << 4 | kind),
            _ => {
                self.bytes.push(0xf0 | kind);
                push_varint(&mut self.bytes, length as u64);
            }
        }
    }
}

/// A number of seven bits a byte, the lowest first.
pub(super) fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}
