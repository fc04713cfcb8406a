//! What the model build puts in the place of the real thing: who reads and writes a buffer when, and a word to sleep on.
//!
//! Events lie in plain memory, which loom does not see. So each buffer has a shadow of cells, touched beside it: loom reports two
//! accesses, one of them a write, that no synchronisation puts in an order. In all other builds nothing of this is there.

#[cfg(not(feature = "loom"))]
pub(crate) use absent::{Watch, event_written, mapped, unmapped};
#[cfg(all(test, feature = "loom"))]
pub(crate) use present::unmap_all;
#[cfg(feature = "loom")]
pub(crate) use present::{Futex, Watch, event_written, mapped, unmapped};

#[cfg(not(feature = "loom"))]
mod absent {
    use crate::events::event::Event;

    /// What is watched of a buffer: nothing.
    #[derive(Clone, Copy)]
    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn new() -> Watch {
            Watch
        }

        #[inline(always)]
        pub(crate) fn header_read(self) {}

        #[inline(always)]
        pub(crate) fn header_written(self) {}

        #[inline(always)]
        pub(crate) fn events_read(self, _count: usize) {}
    }

    /// An event is about to be written.
    #[inline(always)]
    pub(crate) fn event_written(_place: *mut Event) {}

    /// Pages with a `T` came that stay for the life of the process.
    #[inline(always)]
    pub(crate) fn mapped<T>(_pages: *mut T, _size: usize) {}

    /// They went earlier.
    #[inline(always)]
    pub(crate) fn unmapped(_pages: *mut u8) {}
}

#[cfg(feature = "loom")]
mod present {
    use core::ops::Deref;
    use core::sync::atomic::Ordering;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use loom::cell::UnsafeCell;
    use loom::sync::atomic::AtomicU32;
    use loom::sync::{Condvar, Mutex};

    use crate::events::buffer::Buffer;
    use crate::events::event::Event;
    use crate::sys::heap;

    /// More events than a model writes into one buffer.
    const MOST_EVENTS: usize = 8;

    /// The shadow of a buffer: its header, and each event. Lives as long as the model.
    #[derive(Clone, Copy)]
    pub(crate) struct Watch(&'static Watched);

    struct Watched {
        header: UnsafeCell<()>,
        events: [UnsafeCell<()>; MOST_EVENTS],
    }

    impl Watch {
        pub(crate) fn new() -> Watch {
            let watched: &Watched = Box::leak(Box::new(Watched {
                header: UnsafeCell::new(()),
                events: core::array::from_fn(|_| UnsafeCell::new(())),
            }));
            WATCHED.with_borrow_mut(|all| all.push(core::ptr::from_ref(watched).cast_mut()));
            Watch(watched)
        }

        pub(crate) fn header_read(self) {
            self.0.header.with(|_| ());
        }

        pub(crate) fn header_written(self) {
            self.0.header.with_mut(|_| ());
        }

        pub(crate) fn events_read(self, count: usize) {
            for event in self.0.events.iter().take(count) {
                event.with(|_| ());
            }
        }
    }

    /// An event is about to be written.
    pub(crate) fn event_written(place: *mut Event) {
        let buffer = Buffer::of_cursor(place).expect("an event lies in a buffer");
        let number = (place as usize - buffer.first() as usize) / size_of::<Event>();
        buffer.watch().0.events[number].with_mut(|_| ());
    }

    thread_local! {
        /// Pages that are to stay for the life of the process, of which a model has very many. loom's threads are all on one of the
        /// system's.
        static MAPPED: RefCell<BTreeMap<usize, Pages>> = const { RefCell::new(BTreeMap::new()) };
        static WATCHED: RefCell<Vec<*mut Watched>> = const { RefCell::new(Vec::new()) };
    }

    /// How many bytes, and how what lies in them is dropped.
    type Pages = (usize, unsafe fn(usize));

    /// Pages with a `T` came that stay for the life of the process.
    pub(crate) fn mapped<T>(pages: *mut T, size: usize) {
        // SAFETY: the caller of `drop` has a place that was noted with this type.
        let drop: unsafe fn(usize) = |place| unsafe { (place as *mut T).drop_in_place() };
        MAPPED.with_borrow_mut(|mapped| mapped.insert(pages as usize, (size, drop)));
    }

    /// They went earlier.
    pub(crate) fn unmapped(pages: *mut u8) {
        MAPPED.with_borrow_mut(|mapped| mapped.remove(&(pages as usize)));
    }

    /// The life is over: its threads have ended, and nothing refers to its pages any more.
    #[cfg(test)]
    pub(crate) fn unmap_all() {
        for watched in WATCHED.take() {
            // SAFETY: leaked by `Watch::new`, for buffers that nobody has any more.
            drop(unsafe { Box::from_raw(watched) });
        }
        for (pages, (size, drop)) in MAPPED.take() {
            // SAFETY: whole mappings that were noted when they came, with what lies in them; the caller's model is over.
            unsafe {
                drop(pages);
                heap::unmap(pages as *mut u8, size);
            }
        }
    }

    /// A word to sleep on, as the kernel has it: whoever sleeps has seen the word unchanged under the lock that wakers take. Nobody
    /// is woken by the clock, so a wake-up that comes too early to be heard is a deadlock, which loom reports.
    pub(crate) struct Futex {
        value: u32,
        parts: OnceLock<Parts>,
    }

    struct Parts {
        word: AtomicU32,
        bucket: Mutex<()>,
        sleepers: Condvar,
    }

    impl Futex {
        // Constant, as the real one is; loom's parts are made by the first use.
        pub(crate) const fn new(value: u32) -> Futex {
            Futex {
                value,
                parts: OnceLock::new(),
            }
        }

        fn parts(&self) -> &Parts {
            self.parts.get_or_init(|| Parts {
                word: AtomicU32::new(self.value),
                bucket: Mutex::new(()),
                sleepers: Condvar::new(),
            })
        }

        pub(crate) fn wait(&self, expected: u32, _timeout_ns: u64) {
            let parts = self.parts();
            let bucket = parts.bucket.lock().expect("nobody panics under it");
            if parts.word.load(Ordering::Relaxed) == expected {
                drop(parts.sleepers.wait(bucket));
            }
        }

        pub(crate) fn wake(&self) {
            let parts = self.parts();
            let _bucket = parts.bucket.lock().expect("nobody panics under it");
            parts.sleepers.notify_one();
        }
    }

    impl Deref for Futex {
        type Target = AtomicU32;

        fn deref(&self) -> &AtomicU32 {
            &self.parts().word
        }
    }
}
