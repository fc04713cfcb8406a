//! Buffers in a row, linked through their headers, so that a row of any length needs no memory of its own.
//!
//! Invariant: a buffer in a queue is owned by whoever owns the queue, and is in no other one.

use super::buffer::Buffer;

/// A row of buffers.
#[derive(Default)]
pub(crate) struct Queue {
    ends: Option<(Buffer, Buffer)>,
}

impl Queue {
    /// The first one.
    pub(crate) fn first(&self) -> Option<Buffer> {
        self.ends.map(|(first, _)| first)
    }

    /// Puts a buffer, which the caller owns, behind the others.
    pub(crate) fn push(&mut self, buffer: Buffer) {
        buffer.set_next(None);
        let first = match self.ends {
            Some((first, last)) => {
                last.set_next(Some(buffer));
                first
            }
            None => buffer,
        };
        self.ends = Some((first, buffer));
    }

    /// Puts a buffer, which the caller owns, in front of the others.
    pub(crate) fn push_front(&mut self, buffer: Buffer) {
        buffer.set_next(self.first());
        let last = self.ends.map_or(buffer, |(_, last)| last);
        self.ends = Some((buffer, last));
    }

    /// Takes the first one.
    pub(crate) fn pop(&mut self) -> Option<Buffer> {
        let (first, last) = self.ends?;
        self.ends = first.next().map(|second| (second, last));
        Some(first)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn buffers_leave_in_the_order_of_the_row() {
        let [a, b, c, d] = core::array::from_fn(|_| Buffer::map().expect("memory"));
        let mut queue = Queue::default();
        for round in 0..2 {
            queue.push(b);
            queue.push(c);
            queue.push_front(a);
            queue.push(d);
            assert_eq!(queue.first(), Some(a), "round {round}");
            let left: Vec<Buffer> = core::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(left, [a, b, c, d], "round {round}");
        }
        [a, b, c, d].into_iter().for_each(Buffer::unmap);
    }
}
