//! Blocks that are freed by the very next event of their thread: Python makes them by the million.
//!
//! Invariant: applying birth and death together changes the books as applying one after the other does. What would only go up
//! and down again is left alone; what cannot be told beforehand is left to the usual way: a new maximum (which would
//! be the peak, with this block in it), a slot of the table that is not free, the edge of a segment.

use super::{Books, ThreadState};
use crate::events::event::{Event, Kind};

impl Books {
    /// Applies a birth and the death after it, if they are of one block and nothing else comes of them. False: nothing was
    /// applied.
    #[inline(always)]
    pub(crate) fn apply_brief(
        &mut self,
        thread: &mut ThreadState,
        birth: Event,
        death: Event,
    ) -> bool {
        birth.address() == death.address()
            && birth.kind() == Kind::Birth
            && death.kind() == Kind::Death
            && self.apply_brief_block(thread, birth, death)
    }

    #[inline(always)]
    fn apply_brief_block(&mut self, thread: &mut ThreadState, birth: Event, death: Event) -> bool {
        let (domain, size) = (birth.domain() as usize, birth.size_low());
        if birth.is_mapping()
            || death.is_mapping()
            || self.frozen
            || thread.wide.is_some()
            || thread.exposure.is_at_edge()
            || !self.shown[domain]
            || !self.total.has_room_for(size)
            || !self.domains[domain].has_room_for(size)
            || !self.live.is_free(birth.address())
        {
            return false;
        }
        self.quality.events += 2;
        let site = self.site(birth.site());
        site.domain = domain as u8;
        site.tally.brief(size, size + birth.slack());
        self.sizes[domain].brief(size);
        let extremes = &mut self.domains[domain];
        extremes.max_size_bytes = extremes.max_size_bytes.max(size);
        thread.last_birth = 0;
        thread.exposure.note_out(size);
        true
    }
}
