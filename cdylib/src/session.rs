//! The tracing of one process: everything that lives from the constructor to the end, and the ways through it.
//!
//! ```text
//!             Python found            pytrace_pause            first hook that sees
//!   Off ─────────────────► Recording ◄────────────► Paused     the tear-down
//!    ▲                         │  └───────────────────┴──────────► TearDown
//!    │ trouble                 │ exit, exec, fatal signal             │ exit
//!    └──────────── Off ◄───────┴──────────────────────────────────────┘
//! ```
//! Invariant: a session is never freed. A forked child abandons its parent's and begins its own.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use pytrace_format::record::{Allocator, Ended, Mark, Mode, Native, Pymalloc, Shutdown};

use crate::aggregate::books::Books;
use crate::aggregate::merge::Merge;
use crate::counts;
use crate::events::buffer::Buffer;
use crate::events::event::{Control, Event};
use crate::events::slot::{SEGMENTS, Slot};
use crate::events::transport::{CAPACITY, CROWDED, Transport};
use crate::output::Output;
use crate::python::Python;
use crate::python::arenas::Arenas;
use crate::settings::Settings;
use crate::stack::intern::{self, Interner};
use crate::stack::native::Rules;
use crate::sys::lock::Lock;
use crate::sys::{clock, file, syscall, thread as sys_thread};
use crate::thread::{self, OwnWork};

/// What the hooks do, as bits that each of them tests.
pub(crate) mod state {
    /// Births are recorded.
    pub(crate) const BIRTHS: u8 = 1;
    /// Deaths and resizes are recorded.
    pub(crate) const DEATHS: u8 = 2;
    /// Stacks are read; the end of the program is watched for.
    pub(crate) const STACKS: u8 = 4;

    /// Beside the others: something is to be done by a mem or object hook (the background thread is to be started).
    pub(crate) const ATTENTION: u8 = 8;

    /// Beside the others, from the start: threads count calls and record no events.
    pub(crate) const COUNTS: u8 = 16;

    /// Nothing is recorded: calls are passed on.
    pub(crate) const OFF: u8 = 0;
    /// Everything is recorded.
    pub(crate) const RECORDING: u8 = BIRTHS | DEATHS | STACKS;
    /// Everything is counted.
    pub(crate) const COUNTING: u8 = RECORDING | COUNTS;
    /// Only what ends known blocks.
    pub(crate) const PAUSED: u8 = DEATHS | STACKS;
    /// The interpreter tears down: counted, without stacks.
    pub(crate) const TEAR_DOWN: u8 = BIRTHS | DEATHS;

    /// Bits that say nothing about what is recorded.
    pub(super) const FLAGS: u8 = ATTENTION | COUNTS;
}

static STATE: AtomicU8 = AtomicU8::new(state::OFF);

/// What the hooks do now.
#[inline(always)]
pub(crate) fn state() -> u8 {
    STATE.load(Ordering::Relaxed)
}

/// Goes from one state to another, if it is in that one; flags stay.
fn change_state(from: u8, to: u8) {
    // Nobody is left to tell when the state is another by now.
    let _ = STATE.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
        (now & !state::FLAGS == from).then_some(to | now & state::FLAGS)
    });
}

/// Threads that may be traced at once: a slot's name has 16 bits, and 0 is nobody's.
const MOST_SLOTS: usize = 65_535;
/// How long a hook waits for room before it counts events as lost, nanoseconds.
const PATIENCE_NS: u64 = 100_000_000;
/// How long the end of the process waits for the aggregator's lock, nanoseconds.
const EXIT_PATIENCE_NS: u64 = 2_000_000_000;

/// How long the unloading of an object waits for the aggregator's lock, nanoseconds.
const UNLOADING_PATIENCE_NS: u64 = 100_000_000;

/// How long after a fork the parent stays without a background thread, nanoseconds: CPython 3.12+ counts the process's
/// threads right after `fork` and warns of more than one.
const FORK_PAUSE_NS: u64 = 20_000_000;

/// Full buffers for which the background thread is woken. Fewer wait for its next look: a wake-up is a system call of the
/// program's thread, and in a virtual machine a costly one.
const WORTH_WAKING: usize = 4;

/// How often the live table's memory is looked at, nanoseconds.
const TABLE_LOOK_NS: u64 = 1_000_000_000;

/// Who serves small blocks, as the first of them showed.
pub(crate) mod served_by {
    pub(crate) const UNKNOWN: u8 = 0;
    /// Pools of 4 KiB or 16 KiB in arenas.
    pub(crate) const PYMALLOC: u8 = 1;
    /// libc's malloc.
    pub(crate) const MALLOC: u8 = 2;
    /// Neither: what it sets aside cannot be seen.
    pub(crate) const MIMALLOC: u8 = 3;
}

/// The slots, by name − 1, and those without an owner.
struct Slots {
    all: Vec<&'static Slot>,
    free: Vec<&'static Slot>,
}

/// What the lock of the aggregator guards.
pub(crate) struct Aggregator {
    merge: Merge,
    pub(crate) books: Books,
    pub(crate) output: Output,
    own_cpu_ns: u64,
    /// Calls that the threads had counted when they were last added up.
    calls_counted: u64,
    /// Bytes of the live table's address space that are not in memory, and when that was looked at.
    table_untouched_bytes: u64,
    table_looked_at_ns: u64,
}

/// What is counted after the program ended, while the interpreter tears down: by the hooks themselves, as nothing more is
/// asked of it.
#[derive(Default)]
pub(crate) struct TearDown {
    allocations: AtomicU64,
    frees: AtomicU64,
    requested_bytes: AtomicU64,
}

impl TearDown {
    pub(crate) fn birth(&self, size: usize) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
        self.requested_bytes
            .fetch_add(size as u64, Ordering::Relaxed);
    }

    pub(crate) fn death(&self) {
        self.frees.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the counts into the books.
    fn take_into(&self, shutdown: &mut Shutdown) {
        shutdown.allocations += self.allocations.swap(0, Ordering::Relaxed);
        shutdown.frees += self.frees.swap(0, Ordering::Relaxed);
        shutdown.requested_bytes += self.requested_bytes.swap(0, Ordering::Relaxed);
    }
}

/// The background thread.
enum Background {
    NotStarted,
    Running(sys_thread::Thread),
    /// It could not be started, or must not be: producers aggregate.
    Never,
}

/// One process's tracing.
pub(crate) struct Session {
    /// The interpreter that is traced.
    pub(crate) python: &'static Python,
    /// What of a caller's address is kept: all, or nothing when callers are not wanted.
    pub(crate) caller_mask: usize,
    /// Python frames kept per stack; 0: all.
    pub(crate) depth: usize,
    pub(crate) settings: Settings,
    pub(crate) tree: String,
    pub(crate) pid: u32,
    is_forked_child: bool,
    pub(crate) started_ns: u64,
    pub(crate) started_unix_ns: u64,
    transport: Transport,
    slots: Lock<Slots>,
    pub(crate) interner: Lock<Interner>,
    /// How to leave native frames.
    pub(crate) rules: Lock<Rules>,
    pub(crate) arenas: Lock<Arenas>,
    pub(crate) aggregator: Lock<Aggregator>,
    background: Lock<Background>,
    background_started: AtomicBool,
    /// The channel was full for longer than a hook waits.
    saturated: AtomicBool,
    background_must_end: AtomicBool,
    /// The background thread sleeps on it; 1: it sleeps.
    asleep: AtomicU32,
    pub(crate) marks: Lock<Vec<Mark>>,
    /// The pools as they were walked at the end of the program.
    pub(crate) walked: Lock<Option<Pymalloc>>,
    pub(crate) tear_down: TearDown,
    frozen_at_ns: AtomicU64,
    /// When this process forked last; 0: never.
    forked_at_ns: AtomicU64,
    ended: AtomicBool,
    pub(crate) served_by: AtomicU8,
    /// Size of pymalloc's pools; 0 while it is not known that pymalloc serves small blocks.
    pub(crate) pool_bytes: AtomicU32,
    pub(crate) debug_hooks: AtomicBool,
    unslotted_losses: AtomicU64,
}

static CURRENT: AtomicPtr<Session> = AtomicPtr::new(core::ptr::null_mut());

/// The session of this process, once there is one.
#[inline(always)]
pub(crate) fn current() -> Option<&'static Session> {
    // SAFETY: null or a leaked session, published by `begin` with Release.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Begins the tracing of this process.
pub(crate) fn begin(
    python: &'static Python,
    settings: Settings,
    tree: String,
    is_forked_child: bool,
) -> &'static Session {
    SEGMENTS.reset();
    let paused = settings.start_paused;
    let shown = settings.shown;
    let session = Box::leak(Box::new(Session {
        python,
        caller_mask: if settings.native == Native::Off {
            0
        } else {
            usize::MAX
        },
        depth: settings.depth,
        settings,
        tree,
        pid: syscall::process_id(),
        is_forked_child,
        started_ns: clock::monotonic_ns(),
        started_unix_ns: clock::unix_ns(),
        transport: Transport::new(),
        slots: Lock::new(Slots {
            all: Vec::new(),
            free: Vec::new(),
        }),
        interner: Interner::new(),
        rules: Lock::new(Rules::new(python.loop_start)),
        arenas: Lock::new(Arenas::default()),
        aggregator: Lock::new(Aggregator {
            merge: Merge::default(),
            books: Books::new(shown, is_forked_child),
            output: Output::new(),
            own_cpu_ns: 0,
            calls_counted: 0,
            table_untouched_bytes: 0,
            table_looked_at_ns: 0,
        }),
        background: Lock::new(Background::NotStarted),
        background_started: AtomicBool::new(false),
        saturated: AtomicBool::new(false),
        background_must_end: AtomicBool::new(false),
        asleep: AtomicU32::new(0),
        marks: Lock::new(Vec::new()),
        walked: Lock::new(None),
        tear_down: TearDown::default(),
        frozen_at_ns: AtomicU64::new(0),
        forked_at_ns: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        served_by: AtomicU8::new(served_by::UNKNOWN),
        pool_bytes: AtomicU32::new(0),
        debug_hooks: AtomicBool::new(false),
        unslotted_losses: AtomicU64::new(0),
    }));
    CURRENT.store(session, Ordering::Release);
    let counts = if session.is_counting() {
        state::COUNTS
    } else {
        0
    };
    if paused {
        session.pause();
        STATE.store(state::PAUSED | counts, Ordering::Release);
    } else {
        STATE.store(state::RECORDING | counts, Ordering::Release);
    }
    if !is_forked_child {
        session.want_background();
    }
    session
}

impl Session {
    /// Begins a forked child's session: the parent's settings and what is still true of its interpreter.
    pub(crate) fn begin_in_child(parent: &Session) {
        let arenas = parent.arenas.try_lock().map(|arenas| arenas.inherited());
        let was_paused = state() & !state::FLAGS == state::PAUSED;
        let mut settings = parent.settings.clone();
        settings.start_paused = was_paused;
        stop();
        let session = begin(parent.python, settings, parent.tree.clone(), true);
        if let Some(arenas) = arenas {
            session
                .aggregator
                .lock()
                .books
                .inherit_arenas(arenas.sizes());
            *session.arenas.lock() = arenas;
        }
        session
            .served_by
            .store(parent.served_by.load(Ordering::Relaxed), Ordering::Relaxed);
        session
            .pool_bytes
            .store(parent.pool_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        session.debug_hooks.store(
            parent.debug_hooks.load(Ordering::Relaxed),
            Ordering::Relaxed,
        );
    }

    /// Other allocators lie below the hooks from now on.
    pub(crate) fn forget_allocator(&self) {
        self.pool_bytes.store(0, Ordering::Release);
        self.served_by.store(served_by::UNKNOWN, Ordering::Release);
    }
}

/// The process is not traced: a forked child that was asked to be left alone.
pub(crate) fn abandon() {
    stop();
    CURRENT.store(core::ptr::null_mut(), Ordering::Release);
}

/// Stops recording for good.
pub(crate) fn stop() {
    STATE.store(state::OFF, Ordering::Release);
}

impl Session {
    /// Whether calls are only counted: no events, no background thread.
    pub(crate) fn is_counting(&self) -> bool {
        self.settings.mode == Mode::Counts
    }

    /// Whether stacks have all their native frames.
    #[inline(always)]
    pub(crate) fn is_native_full(&self) -> bool {
        self.settings.native == Native::Full
    }

    /// Objects are about to be unloaded: notes where the frames in them lie. Not if the aggregator is busy for long: then
    /// those seen since the last flush stay without a place.
    pub(crate) fn before_unloading(&self) {
        if let Some(mut aggregator) = self.aggregator.lock_within(UNLOADING_PATIENCE_NS) {
            aggregator.output.before_unloading(self);
        }
    }

    /// Objects were unloaded: what is known of their code is forgotten.
    pub(crate) fn after_unloading(&self) {
        intern::note_unloading();
        self.rules.lock().forget();
    }

    /// Time since the start, nanoseconds.
    pub(crate) fn now_ns(&self) -> u64 {
        clock::monotonic_ns().saturating_sub(self.started_ns)
    }

    /// Whether this is the process that the session was begun in: not a child made by a bare `clone` or `vfork`.
    fn is_this_process(&self) -> bool {
        syscall::process_id() == self.pid
    }

    /// Whether flushes may be written: by this process, and not behind the final record.
    fn may_write(&self, aggregator: &Aggregator) -> bool {
        self.is_this_process()
            && !aggregator.output.is_prepared()
            && !self.ended.load(Ordering::Acquire)
    }

    /// The calling thread's slot, given to it on its first event.
    #[inline(always)]
    pub(crate) fn slot(&self, word: &thread::Word) -> Option<&'static Slot> {
        // SAFETY: null or a slot, which is never unmapped.
        match unsafe { word.slot().as_ref() } {
            Some(slot) => Some(slot),
            None => self.take_slot(word),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_slot(&self, word: &thread::Word) -> Option<&'static Slot> {
        let mut slots = self.slots.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                let name = u16::try_from(slots.all.len() + 1)
                    .ok()
                    .filter(|_| slots.all.len() < MOST_SLOTS);
                let Some(slot) = name.and_then(|name| Slot::map(name, self.is_counting())) else {
                    self.unslotted_losses.fetch_add(1, Ordering::Relaxed);
                    return None;
                };
                slots.all.push(slot);
                slot
            }
        };
        slot.own(syscall::thread_id());
        word.set_slot(core::ptr::from_ref(slot).cast_mut());
        drop(slots);
        self.python.warm_up();
        Some(slot)
    }

    /// Takes a full buffer and gives an empty one. `None`: there was no room within [`PATIENCE_NS`].
    /// Called by a thread in a hook, which owns `full`.
    pub(crate) fn exchange(&self, full: Buffer, slot: u16, next_index: u64) -> Option<Buffer> {
        if self.saturated.load(Ordering::Relaxed) && self.transport.waiting() >= CAPACITY {
            // This was waited for once: until something is taken, events are counted as lost at once.
            return None;
        }
        let empty = self.transport.empty_buffer()?;
        empty.assign(slot, next_index);
        let mut deadline = None;
        while !self.transport.send(full) {
            // Full: 64 MiB of events wait. Help, or give the aggregator a moment.
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                continue;
            }
            let now = clock::monotonic_ns();
            if now > *deadline.get_or_insert(now + PATIENCE_NS) {
                self.saturated.store(true, Ordering::Relaxed);
                self.transport.recycle(empty);
                return None;
            }
            syscall::yield_processor();
        }
        let helps =
            !self.background_started.load(Ordering::Relaxed) || self.transport.waiting() > CROWDED;
        if helps && let Some(mut aggregator) = self.aggregator.try_lock() {
            self.pump(&mut aggregator);
            self.flush_if_due(&mut aggregator);
        }
        self.saturated.store(false, Ordering::Relaxed);
        if self.transport.waiting() >= WORTH_WAKING {
            self.wake_background();
        }
        Some(empty)
    }

    fn wake_background(&self) {
        if self.asleep.swap(0, Ordering::SeqCst) == 1 {
            syscall::futex_wake(&self.asleep, 1);
        }
    }

    /// Does what was asked for by [`state::ATTENTION`]. Call it in a mem or object hook only: CPython's allocator calls
    /// are made without any of libc's locks, which `pthread_create` takes.
    pub(crate) fn attend(&self) {
        STATE.fetch_and(!state::ATTENTION, Ordering::AcqRel);
        if !self.background_started.load(Ordering::Relaxed) {
            self.start_background();
        }
    }

    #[cold]
    #[inline(never)]
    fn start_background(&self) {
        let Some(mut background) = self.background.try_lock() else {
            return;
        };
        if matches!(*background, Background::NotStarted) {
            let own = OwnWork::begin();
            self.background_must_end.store(false, Ordering::Release);
            *background = match sys_thread::start(background_main) {
                Some(thread) => Background::Running(thread),
                None => Background::Never,
            };
            self.background_started.store(
                matches!(*background, Background::Running(_)),
                Ordering::Release,
            );
            drop(own);
        }
    }

    /// Applies everything that is published.
    pub(crate) fn pump(&self, aggregator: &mut Aggregator) {
        let cpu_before = clock::thread_cpu_ns();
        aggregator.books.now_ns = self.end_ns();
        if self.is_counting() {
            self.add_up(aggregator);
        }
        loop {
            let applied = aggregator.merge.pass(
                || self.slots.lock().all.clone(),
                &self.transport,
                &mut aggregator.books,
            );
            if applied == 0 || self.transport.waiting() == 0 {
                break;
            }
        }
        aggregator.own_cpu_ns += clock::thread_cpu_ns().saturating_sub(cpu_before);
    }

    /// Adds up what the threads counted.
    fn add_up(&self, aggregator: &mut Aggregator) {
        let slots = self.slots.lock().all.clone();
        let mut calls = 0;
        for domain in counts::COUNTED {
            let pages = slots.iter().filter_map(|slot| slot.counts());
            let sum = counts::Sum::of(domain, pages);
            calls += sum.births + sum.resizes + sum.deaths;
            aggregator.books.take_counted(domain, &sum);
        }
        aggregator.books.quality.events += calls - aggregator.calls_counted;
        aggregator.calls_counted = calls;
        // From here on the numbers stand, also while a thread is still inside its last hook.
        aggregator.books.frozen |= self.frozen_at_ns.load(Ordering::Acquire) != 0;
    }

    /// Applies an event now: in `counts` mode, where mappings and arenas are all there is of them.
    #[cold]
    #[inline(never)]
    pub(crate) fn apply_at_once(&self, slot: &Slot, event: Event) {
        let mut aggregator = self.aggregator.lock();
        let Aggregator { merge, books, .. } = &mut *aggregator;
        merge.apply_at_once(slot, event, books);
    }

    /// In `counts` mode: takes a sample if one is due and nobody else is at it.
    #[cold]
    #[inline(never)]
    pub(crate) fn sample_if_due(&self) {
        if let Some(mut aggregator) = self.aggregator.try_lock()
            && self.end_ns() >= aggregator.output.next_flush_ns()
        {
            self.pump(&mut aggregator);
            self.flush_if_due(&mut aggregator);
        }
    }

    /// Writes to the capture if an interval has passed since it was last written.
    fn flush_if_due(&self, aggregator: &mut Aggregator) {
        let now_ns = self.end_ns();
        if now_ns >= aggregator.output.next_flush_ns() && self.may_write(aggregator) {
            self.complete_quality(aggregator);
            let Aggregator { books, output, .. } = aggregator;
            output.flush(self, books, now_ns, Ended::Running);
            self.reclaim_slots(aggregator);
        }
    }

    /// Gives the slots of threads that have ended to new ones.
    fn reclaim_slots(&self, aggregator: &mut Aggregator) {
        let mut slots = self.slots.lock();
        let Slots { all, free } = &mut *slots;
        for slot in all.iter() {
            let thread_id = slot.thread_id();
            if thread_id != 0
                && (self.is_counting() || aggregator.merge.is_drained(slot))
                && !syscall::thread_exists(self.pid, thread_id)
            {
                aggregator.merge.forget_thread(slot);
                slot.own(0);
                // SAFETY: its thread has ended, and nobody else has the slot.
                unsafe { slot.stacks() }.forget_owner();
                free.push(slot);
            }
        }
    }

    /// Puts in what the books cannot know.
    fn complete_quality(&self, aggregator: &mut Aggregator) {
        aggregator.merge.end_segments(&mut aggregator.books);
        let lost_in_slots: u64 = self.slots.lock().all.iter().map(|slot| slot.lost()).sum();
        let quality = &mut aggregator.books.quality;
        quality.lost_events = lost_in_slots + self.unslotted_losses.load(Ordering::Relaxed);
        quality.truncated_stacks = crate::stack::intern::truncated_stacks();
        quality.own_cpu_ns = aggregator.own_cpu_ns;
        // The table's leaves are mostly address space; looking at them takes a system call each, so not at every flush.
        let now_ns = self.now_ns();
        if self.ended.load(Ordering::Relaxed)
            || now_ns > aggregator.table_looked_at_ns + TABLE_LOOK_NS
        {
            aggregator.table_looked_at_ns = now_ns;
            let (mapped, resident) = aggregator.books.table_memory();
            aggregator.table_untouched_bytes = mapped.saturating_sub(resident);
        }
        aggregator.books.quality.own_memory_bytes =
            crate::sys::heap::mapped_bytes().saturating_sub(aggregator.table_untouched_bytes);
    }

    /// Applies and writes everything, now.
    pub(crate) fn flush(&self) {
        if !self.is_this_process() {
            return;
        }
        let mut aggregator = self.aggregator.lock();
        self.pump(&mut aggregator);
        if !self.may_write(&aggregator) {
            return;
        }
        self.complete_quality(&mut aggregator);
        let now_ns = self.end_ns();
        let Aggregator { books, output, .. } = &mut *aggregator;
        output.flush(self, books, now_ns, Ended::Running);
    }

    /// Names the present moment.
    pub(crate) fn mark(&self, name: String) {
        let at_ns = self.now_ns();
        self.marks.lock().push(Mark { at_ns, name });
    }

    /// Says something that is about no block. Counted calls have no order to say it in.
    fn control(&self, control: Control) {
        if !self.is_counting()
            && let Some(slot) = self.slot(thread::word())
        {
            slot.append(Event::control(control, 0, 0));
        }
    }

    /// Pauses the recording of births.
    pub(crate) fn pause(&self) {
        self.control(Control::Paused);
        change_state(state::RECORDING, state::PAUSED);
    }

    /// Resumes it.
    pub(crate) fn resume(&self) {
        self.control(Control::Resumed);
        change_state(state::PAUSED, state::RECORDING);
    }

    /// The program has ended and the interpreter begins to tear down: freezes the books at this event, and walks the
    /// pools if the calling thread holds the GIL. Later calls do nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn freeze(&self, holds_gil: bool) {
        let now_ns = self.now_ns().max(1);
        if self
            .frozen_at_ns
            .compare_exchange(0, now_ns, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        self.control(Control::Freeze);
        if state() & !state::FLAGS != state::OFF {
            STATE.store(state::TEAR_DOWN, Ordering::Release);
        }
        if holds_gil {
            self.walk_arenas();
        }
    }

    /// A mem or object hook sees the interpreter tear down: freezes the books, and writes what they say while the
    /// interpreter is whole. `errno` is kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_tear_down(&self) {
        self.freeze(true);
        if !self.is_this_process() || self.ended.load(Ordering::Acquire) {
            return;
        }
        let own = OwnWork::begin();
        // SAFETY: errno's address is valid for the life of the thread.
        let errno = unsafe { *libc::__errno_location() };
        if let Some(mut aggregator) = self.aggregator.lock_within(EXIT_PATIENCE_NS) {
            self.pump(&mut aggregator);
            self.complete_quality(&mut aggregator);
            let Aggregator { books, output, .. } = &mut *aggregator;
            output.prepare(self, books);
        }
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
        drop(own);
    }

    /// Walks pymalloc's pools. The calling thread holds the GIL.
    fn walk_arenas(&self) {
        let arenas = self.arenas.lock();
        // SAFETY: the arena hook takes this lock before it lets an arena be unmapped, and this thread holds the GIL.
        *self.walked.lock() = unsafe { arenas.walk() };
    }

    /// When the program ended, nanoseconds since the start; now, if it has not.
    pub(crate) fn end_ns(&self) -> u64 {
        match self.frozen_at_ns.load(Ordering::Acquire) {
            0 => self.now_ns(),
            frozen => frozen,
        }
    }

    /// The process is about to end: writes everything and prints the summary. Only the first call does. From a signal handler
    /// that interrupted the shim's own work nothing is done: this thread holds what would be needed, and the capture
    /// ends with its last flush.
    pub(crate) fn finish(&self, ended: Ended) {
        if !self.is_this_process()
            || thread::word().is_writing()
            || self.ended.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let own = OwnWork::begin();
        let holds_gil = self.python.is_attached();
        self.freeze(holds_gil);
        stop();
        match self.aggregator.lock_within(EXIT_PATIENCE_NS) {
            Some(mut aggregator) => {
                if !aggregator.output.is_prepared() {
                    self.pump(&mut aggregator);
                    self.complete_quality(&mut aggregator);
                }
                self.tear_down.take_into(&mut aggregator.books.shutdown);
                let Aggregator { books, output, .. } = &mut *aggregator;
                output.finish(self, books, ended);
            }
            None => file::say(
                "the aggregator did not stop in time: the capture ends with its last flush",
            ),
        }
        drop(own);
    }

    /// The process is about to become another program, which may fail: everything is written, nothing ends. A forked
    /// child that has written nothing yet leaves no file: it was only made for this.
    pub(crate) fn before_exec(&self) {
        if !self.is_this_process() {
            return;
        }
        let own = OwnWork::begin();
        if let Some(mut aggregator) = self
            .aggregator
            .lock_within(EXIT_PATIENCE_NS)
            .filter(|aggregator| !self.is_forked_child || aggregator.output.has_begun())
        {
            self.pump(&mut aggregator);
            self.complete_quality(&mut aggregator);
            let now_ns = self.end_ns();
            if self.python.is_attached() {
                self.walk_arenas();
            }
            let Aggregator { books, output, .. } = &mut *aggregator;
            output.flush(self, books, now_ns, Ended::Exec);
        }
        drop(own);
    }

    /// Before fork: the background thread ends at a batch boundary, and no lock of ours is left held by a thread that the
    /// child will not have. Returns whether the locks were taken.
    pub(crate) fn before_fork(&self) {
        let thread = {
            let mut background = self.background.lock();
            match core::mem::replace(&mut *background, Background::NotStarted) {
                Background::Running(thread) => Some(thread),
                other => {
                    *background = other;
                    None
                }
            }
        };
        if let Some(thread) = thread {
            self.background_must_end.store(true, Ordering::SeqCst);
            self.wake_background();
            thread.join();
            self.background_started.store(false, Ordering::Release);
        }
    }

    /// After fork, in the parent: the background thread is started again when CPython has counted the threads.
    pub(crate) fn after_fork_in_parent(&self) {
        self.forked_at_ns.store(self.now_ns(), Ordering::Relaxed);
        // SAFETY: null or a slot, which is never unmapped.
        if let Some(slot) = unsafe { thread::word().slot().as_ref() } {
            slot.look_again_soon();
        }
    }

    /// Whether it is too early after a fork to start a thread.
    pub(crate) fn has_just_forked(&self) -> bool {
        match self.forked_at_ns.load(Ordering::Relaxed) {
            0 => false,
            forked => self.now_ns() < forked + FORK_PAUSE_NS,
        }
    }

    /// Asks the next mem or object hook to start the background thread, if none runs and one may.
    pub(crate) fn want_background(&self) {
        if !self.is_counting()
            && !self.background_started.load(Ordering::Relaxed)
            && !self.has_just_forked()
        {
            STATE.fetch_or(state::ATTENTION, Ordering::Release);
        }
    }

    /// Who serves small objects, for the report.
    pub(crate) fn allocator(&self) -> Allocator {
        let debug = self.debug_hooks.load(Ordering::Relaxed);
        let pick = |plain, with_debug| if debug { with_debug } else { plain };
        match self.served_by.load(Ordering::Relaxed) {
            served_by::PYMALLOC => pick(Allocator::Pymalloc, Allocator::PymallocDebug),
            served_by::MALLOC => pick(Allocator::Malloc, Allocator::MallocDebug),
            served_by::MIMALLOC => pick(Allocator::Mimalloc, Allocator::MimallocDebug),
            _ => Allocator::Unknown,
        }
    }
}

extern "C" fn background_main(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
    // For the thread's whole life: whatever libc does on its behalf is nobody's.
    let own = OwnWork::begin();
    if let Some(session) = current() {
        session.run_background();
    }
    drop(own);
    core::ptr::null_mut()
}

impl Session {
    fn run_background(&self) {
        let interval_ns = u64::from(self.settings.interval_ms) * 1_000_000;
        loop {
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                if !self.ended.load(Ordering::Acquire) {
                    self.flush_if_due(&mut aggregator);
                }
            }
            if self.background_must_end.load(Ordering::Acquire)
                || self.ended.load(Ordering::Acquire)
            {
                return;
            }
            // SeqCst: whoever sets a wish after this sees that we sleep, and we see a wish that was set before.
            self.asleep.store(1, Ordering::SeqCst);
            if self.transport.waiting() == 0 && !self.background_must_end.load(Ordering::SeqCst) {
                syscall::futex_wait(&self.asleep, 1, interval_ns);
            }
            self.asleep.store(0, Ordering::Release);
        }
    }
}
