//! The part of protocol buffers' wire format that a profile needs.
//!
//! Messages are short and written one by one, so that no profile is ever whole in memory.

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A number; 0 is what a reader takes for a field that is not there.
    pub(super) fn number(&mut self, field: u32, number: u64) {
        if number > 0 {
            self.key(field, 0);
            self.varint(number);
        }
    }

    /// Several numbers of one field.
    pub(super) fn numbers(&mut self, field: u32, numbers: impl IntoIterator<Item = u64>) {
        let mut packed = Message::default();
        for number in numbers {
            packed.varint(number);
        }
        self.bytes(field, &packed.bytes);
    }

    /// A message within this one, or a text.
    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// A message within this one.
    pub(super) fn message(&mut self, field: u32, message: &Message) {
        self.bytes(field, &message.bytes);
    }

    /// What it is so far, which begins anew.
    pub(super) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_in_the_specification() {
        let mut message = Message::default();
        message.number(1, 150);
        message.number(2, 0);
        message.bytes(2, b"testing");
        message.numbers(4, [3, 270, 86_942]);
        let expected = [
            &[0x08, 0x96, 0x01][..],
            &[0x12, 0x07],
            b"testing",
            &[0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05],
        ];
        assert_eq!(message.take(), expected.concat());
    }
}
