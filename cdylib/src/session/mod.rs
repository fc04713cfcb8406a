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

pub(crate) mod attendance;
mod background;
pub(crate) mod closing;
mod counting;
mod ending;
mod flushing;
mod fork_pause;
mod handing_over;
pub(crate) mod presence;
mod slots;
pub(crate) mod state;
mod word;

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use pytrace_format::record::{Allocator, Mark, Mode, Native, Pymalloc};

use crate::aggregate::books::Books;
use crate::aggregate::journal::Journal;
use crate::aggregate::merge::Merge;
use crate::events::event::{Control, Event};
use crate::events::slot::SEGMENTS;
use crate::events::transport::Transport;
use crate::output::Output;
use crate::python::Python;
use crate::python::arenas::Arenas;
use crate::settings::Settings;
use crate::stack::intern::{self, Interner};
use crate::stack::native::Rules;
use crate::sys::lock::Lock;
use crate::sys::{self, clock, file, heap, syscall};
use crate::thread;
use closing::Closing;
use ending::TearDown;
use presence::Presence;
use slots::Slots;
pub(crate) use word::{state, state_at_fork};

/// How long the unloading of an object waits for the aggregator's lock, nanoseconds.
const UNLOADING_PATIENCE_NS: u64 = 100_000_000;

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
    presence: Presence<sys::thread::Thread>,
    /// Kernel id of the last background thread.
    background_thread_id: AtomicU32,
    /// As many buffers as may waited for longer than a hook waits.
    saturated: AtomicBool,
    pub(crate) marks: Lock<Vec<Mark>>,
    /// The pools as they were walked at the end of the program.
    pub(crate) walked: Lock<Option<Pymalloc>>,
    pub(crate) tear_down: TearDown,
    closing: Closing,
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
    word::inhabit();
    let paused = settings.start_paused;
    let shown = settings.shown;
    // A child that becomes another program at once, as most do, leaves no capture.
    let first_flush_ns = if is_forked_child {
        u64::from(settings.interval_ms) * 1_000_000
    } else {
        0
    };
    let started_ns = clock::monotonic_ns();
    let is_journaled = settings.mode == Mode::Events && settings.output.is_some();
    let journal = is_journaled.then(|| Journal::new(started_ns, shown));
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
        started_ns,
        started_unix_ns: clock::unix_ns(),
        transport: Transport::new(),
        slots: Lock::new(Slots::new()),
        interner: Interner::new(),
        rules: Lock::new(Rules::new(python.loop_start)),
        arenas: Lock::new(Arenas::default()),
        aggregator: Lock::new(Aggregator {
            merge: Merge::default(),
            books: Books::new(shown, is_forked_child),
            output: Output::new(first_flush_ns, journal),
            own_cpu_ns: 0,
            calls_counted: 0,
            table_untouched_bytes: 0,
            table_looked_at_ns: 0,
        }),
        presence: Presence::new(),
        background_thread_id: AtomicU32::new(0),
        saturated: AtomicBool::new(false),
        marks: Lock::new(Vec::new()),
        walked: Lock::new(None),
        tear_down: TearDown::default(),
        closing: Closing::new(),
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
        word::enter(state::PAUSED | counts);
    } else {
        word::enter(state::RECORDING | counts);
    }
    if heap::is_short() {
        stop();
    }
    session.want_background();
    session
}

impl Session {
    /// Begins a forked child's session: the parent's settings and what is still true of its interpreter.
    pub(crate) fn begin_in_child(parent: &Session) {
        let arenas = parent.arenas.try_lock().map(|arenas| arenas.inherited());
        let was_paused = state_at_fork() & !state::FLAGS == state::PAUSED;
        let mut settings = parent.settings.clone();
        settings.start_paused = was_paused;
        stop();
        let session = begin(parent.python, settings, parent.tree.clone(), true);
        if let Some(arenas) = arenas {
            session
                .aggregator
                .lock()
                .books
                .inherit_arenas(arenas.places());
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
    word::enter(state::OFF);
}

/// The system gives no memory: nothing is recorded any more, and nothing written. Called by the shim's heap, in the middle of
/// anything and under its lock: it does not even say so, as a hook could come to wait for whoever reads standard error.
pub(crate) fn out_of_memory() {
    stop();
}

/// Says that the recording was stopped for lack of memory. Call it where no lock is held; only the first call speaks.
pub(crate) fn tell_of_shortage() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if heap::is_short() && !TOLD.swap(true, Ordering::Relaxed) {
        file::say(if current().is_some() {
            "out of memory: recording stopped, and the capture ends with its last flush"
        } else {
            "out of memory: nothing is recorded"
        });
    }
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

    /// Whether this is the process that the session was begun in: not a child made by a bare `clone`, whose process id may be
    /// the same in another namespace, or by `vfork`, which shares the memory.
    pub(crate) fn is_this_process(&self) -> bool {
        word::is_inhabited() && syscall::process_id() == self.pid
    }

    /// Whether flushes may be written: by this process, and not behind the final record.
    fn may_write(&self, aggregator: &Aggregator) -> bool {
        self.is_this_process()
            && !heap::is_short()
            && !aggregator.output.is_prepared()
            && !self.closing.has_ended()
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
        word::change(state::RECORDING, state::PAUSED);
    }

    /// Resumes it.
    pub(crate) fn resume(&self) {
        self.control(Control::Resumed);
        word::change(state::PAUSED, state::RECORDING);
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
