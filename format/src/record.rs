//! What a capture says: one type per record, plain data.
//!
//! Tables (`String`, `Module`, `Frame`, `Stack`, `Site`) grow in the order of their records: the n-th record of a kind
//! is row n, counted from 1, and a row only refers to rows that came before it, so the stack tree is acyclic by
//! construction. All other records state the truth as of their place in the file: a later one supersedes an earlier one
//! with the same key (`Counters` of one site, `Domain` of one scope …). A file that was cut short is therefore a complete
//! capture of an earlier moment.

use crate::ids::{FrameId, ModuleId, SiteId, StackId, StringId};

/// The API that a block was asked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Domain {
    /// `PyMem_Raw*`
    Raw = 0,
    /// `PyMem_*`
    Mem = 1,
    /// `PyObject_*`
    Object = 2,
    /// libc's malloc family, asked by C code directly.
    Malloc = 3,
    /// Anonymous mappings made directly.
    Mmap = 4,
}

impl Domain {
    /// Every domain, in the order in which reports list them.
    pub const ALL: [Domain; 5] = [
        Domain::Raw,
        Domain::Mem,
        Domain::Object,
        Domain::Malloc,
        Domain::Mmap,
    ];

    /// The name that settings, JSON and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Domain::Raw => "raw",
            Domain::Mem => "mem",
            Domain::Object => "object",
            Domain::Malloc => "malloc",
            Domain::Mmap => "mmap",
        }
    }

    /// The domain of a number, as the capture and the events write it.
    pub fn from_u8(number: u8) -> Option<Domain> {
        Domain::ALL.get(usize::from(number)).copied()
    }
}

/// What counters are about: one domain, or all of them but `mmap` (each block counted once).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One domain.
    Domain(Domain),
    /// raw + mem + object + malloc.
    Total,
}

/// How much is recorded (`PYTRACE_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Exact call sites, live and peak.
    #[default]
    Sites,
    /// Totals and histograms only: no live bytes, no peak, no sites.
    Counts,
    /// Call sites and every event in order.
    Events,
}

impl Mode {
    /// The name that settings and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Sites => "sites",
            Mode::Counts => "counts",
            Mode::Events => "events",
        }
    }
}

/// The native part of a stack (`PYTRACE_NATIVE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Native {
    /// The C function that called the allocator.
    #[default]
    Caller,
    /// Every native frame up to the interpreter.
    Full,
    /// None.
    Off,
}

impl Native {
    /// The name that settings and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Native::Caller => "caller",
            Native::Full => "full",
            Native::Off => "off",
        }
    }
}

/// Which allocator serves small objects in the traced interpreter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocator {
    /// Not found out (yet): no Python allocation was seen.
    #[default]
    Unknown,
    /// CPython's own arenas, pools and size classes.
    Pymalloc,
    /// The same below CPython's debug hooks.
    PymallocDebug,
    /// libc's malloc for everything.
    Malloc,
    /// The same below CPython's debug hooks.
    MallocDebug,
    /// mimalloc (free-threaded builds, `PYTHONMALLOC=mimalloc`).
    Mimalloc,
    /// The same below CPython's debug hooks.
    MimallocDebug,
}

impl Allocator {
    /// The name that reports and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Allocator::Unknown => "unknown",
            Allocator::Pymalloc => "pymalloc",
            Allocator::PymallocDebug => "pymalloc_debug",
            Allocator::Malloc => "malloc",
            Allocator::MallocDebug => "malloc_debug",
            Allocator::Mimalloc => "mimalloc",
            Allocator::MimallocDebug => "mimalloc_debug",
        }
    }
}

/// Who was traced. Written once, early, and again when something was learnt later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent_pid: u32,
    /// Wall-clock time at which tracing began, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// `argv[0]` as the program got it. No further argument is stored.
    pub argv0: String,
    /// Script or module name; `python` for `-c` code and interactive use.
    pub program: String,
    /// Path of the executable file.
    pub executable: String,
    /// `sys.version`'s number, for instance `3.11.7`; empty when unknown.
    pub python_version: String,
    /// Whether the interpreter is a free-threaded build.
    pub free_threaded: bool,
    /// The `PYTRACE_TREE` value that the processes of one tree share.
    pub tree: String,
    /// Who serves small objects.
    pub allocator: Allocator,
    /// Why Python stacks are missing, in one line; empty when they are recorded.
    pub no_stacks_reason: String,
}

/// The settings in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `PYTRACE_MODE`
    pub mode: Mode,
    /// `PYTRACE_NATIVE`
    pub native: Native,
    /// `PYTRACE_DEPTH`: Python frames kept per stack, 0 = unlimited.
    pub depth: u32,
    /// `PYTRACE_DOMAINS`: the domains shown.
    pub domains: Vec<Domain>,
    /// `PYTRACE_INTERVAL_MS`
    pub interval_ms: u32,
}

/// A file that was mapped executable: what is needed to name an address of it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Path as the loader knows it.
    pub path: StringId,
    /// GNU build id; empty when the file has none.
    pub build_id: Vec<u8>,
}

/// One frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A line of Python code.
    Python {
        /// Qualified name (3.11+) or name (3.8–3.10).
        function: StringId,
        /// `co_filename`.
        file: StringId,
        /// Line number, 0 when the code has none there.
        line: u32,
    },
    /// An address in native code.
    Native {
        /// The module, 0 when the address lies in none that is known.
        module: ModuleId,
        /// Address as the ELF file's own headers count it (stated virtual address); the absolute address when `module` is
        /// 0. It is the return address itself: subtract one before looking up the calling instruction.
        address: u64,
    },
}

/// A node of the stack tree: a frame called from `parent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The caller's stack; 0 when this frame is the outermost one.
    pub parent: StackId,
    /// The frame.
    pub frame: FrameId,
}

/// A call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The API that was asked.
    pub domain: Domain,
    /// The stack that asked, its innermost frame being this node.
    pub stack: StackId,
}

/// The name of a native frame, found by the traced process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeName {
    /// The frame.
    pub frame: FrameId,
    /// Function name, demangled.
    pub function: StringId,
    /// Source file, 0 when unknown.
    pub file: StringId,
    /// Source line, 0 when unknown.
    pub line: u32,
}

/// What is counted for a site, a domain or the total. All bytes are requested bytes but `served_bytes`.
///
/// `allocations − frees = live_blocks`. A realloc that moves or resizes counts in `reallocations` and, by its new size,
/// in `requested_bytes` and `served_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Blocks born.
    pub allocations: u64,
    /// Blocks resized.
    pub reallocations: u64,
    /// Blocks freed. For a site: blocks freed while it was the site of their latest size.
    pub frees: u64,
    /// Bytes asked for.
    pub requested_bytes: u64,
    /// Bytes set aside for them.
    pub served_bytes: u64,
    /// Blocks not freed yet.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Bytes that were live at the peak of the total.
    pub peak_bytes: u64,
    /// Blocks freed before the same thread's next allocation.
    pub temporary_allocations: u64,
}

/// Counters of a site. A block that a realloc hands from one site to another leaves the first one's live numbers and
/// enters the second's, so for a site `live_blocks` stands on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteCounters {
    /// The site.
    pub site: SiteId,
    /// Its counters.
    pub counters: Counters,
}

/// Counters of a domain, or of the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeCounters {
    /// What is counted.
    pub scope: Scope,
    /// The counters.
    pub counters: Counters,
    /// The scope's own maximum of live bytes (for the total: its peak).
    pub max_live_bytes: u64,
    /// Time of that maximum, nanoseconds since the start; as exact as the flush interval.
    pub max_live_at_ns: u64,
    /// The largest size asked for.
    pub max_size_bytes: u64,
}

/// One bucket of a size histogram: sizes `from..=to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeBucket {
    /// Smallest size of the bucket, bytes.
    pub from: u64,
    /// Largest size of the bucket, bytes.
    pub to: u64,
    /// Allocations and reallocations of these sizes.
    pub allocations: u64,
    /// Bytes they asked for.
    pub requested_bytes: u64,
    /// Blocks of these sizes that are live.
    pub live_blocks: u64,
}

/// Buckets of one domain's size histogram, in ascending order; each supersedes the one that begins at the same size, so
/// a flush holds only those that changed. Sizes up to 1024 have a bucket each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The domain.
    pub domain: Domain,
    /// The buckets.
    pub buckets: Vec<SizeBucket>,
}

/// The moment that a `Pymalloc` record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The end of the program, before the interpreter tears down; pools were walked in memory.
    Exit,
    /// The end of the program as the events tell it; the cross-check of `Exit`.
    ExitByEvents,
    /// The peak of live bytes, from the events.
    Peak,
}

/// One size class of pymalloc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeClass {
    /// Block size, bytes.
    pub size: u32,
    /// Pools that hold blocks of this class.
    pub pools: u64,
    /// Blocks in use.
    pub blocks_in_use: u64,
    /// Blocks free in those pools.
    pub blocks_free: u64,
}

/// pymalloc's arenas, pools and size classes at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pymalloc {
    /// When.
    pub moment: Moment,
    /// Size of one arena, bytes.
    pub arena_bytes: u64,
    /// Size of one pool, bytes.
    pub pool_bytes: u64,
    /// Arenas mapped.
    pub arenas: u64,
    /// The most that were ever mapped at once.
    pub arenas_peak: u64,
    /// Arenas ever mapped.
    pub arenas_allocated_total: u64,
    /// Arenas ever returned to the system.
    pub arenas_freed_total: u64,
    /// Pools in the mapped arenas.
    pub pools_total: u64,
    /// Pools without a block in use (or never carved).
    pub pools_free: u64,
    /// Pools with blocks in use and blocks free.
    pub pools_partial: u64,
    /// Pools whose blocks are all in use.
    pub pools_full: u64,
    /// Size classes that have pools, ascending.
    pub classes: Vec<SizeClass>,
    /// Bytes in use in each arena, in address order; empty when not known at that moment.
    pub arena_bytes_in_use: Vec<u64>,
}

/// How far the numbers can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Events aggregated.
    pub events: u64,
    /// Events that were dropped.
    pub lost_events: u64,
    /// Frees of blocks never seen.
    pub unmatched_frees: u64,
    /// Blocks whose address was handed out again although no free was seen.
    pub missed_frees: u64,
    /// Frees of blocks that a forked child inherited.
    pub inherited_frees: u64,
    /// Frees of blocks that may have been born while recording was paused.
    pub unmatched_while_paused: u64,
    /// Stacks that could not be read whole.
    pub truncated_stacks: u64,
    /// Upper bound of the error of the peak, bytes.
    pub peak_error_bytes: u64,
    /// CPU time of the aggregation, nanoseconds.
    pub own_cpu_ns: u64,
    /// Memory that the shim has mapped for itself, bytes.
    pub own_memory_bytes: u64,
}

/// One point of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelinePoint {
    /// Time since the start, nanoseconds.
    pub at_ns: u64,
    /// Live bytes of the total.
    pub live_bytes: u64,
    /// Resident set size, 0 when unknown.
    pub rss_bytes: u64,
    /// pymalloc arenas mapped.
    pub arenas: u64,
    /// Allocations of the total since the start.
    pub allocations: u64,
}

/// A named moment (`pytrace_mark`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Time since the start, nanoseconds.
    pub at_ns: u64,
    /// The name given.
    pub name: String,
}

/// What happened after the program ended, while the interpreter tore down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Blocks born.
    pub allocations: u64,
    /// Blocks freed.
    pub frees: u64,
    /// Bytes asked for.
    pub requested_bytes: u64,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// exit, `_exit`, or the end of main.
    Exit,
    /// It became another program.
    Exec,
    /// A signal that it sent to itself (or `abort`).
    Signal,
    /// Not ended: this record is a flush.
    Running,
}

impl Ended {
    /// The name that reports and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Ended::Exit => "exit",
            Ended::Exec => "exec",
            Ended::Signal => "signal",
            Ended::Running => "running",
        }
    }
}

/// The state of the capture's end. Absent or `Running` as the last word: the process was killed, or still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub ended: Ended,
    /// Time since the start, nanoseconds.
    pub at_ns: u64,
}

/// A record of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Who was traced.
    Process(Process),
    /// The settings in force.
    Settings(Settings),
    /// Row of the string table.
    String(String),
    /// Row of the module table.
    Module(Module),
    /// Row of the frame table.
    Frame(Frame),
    /// Row of the stack table.
    Stack(Stack),
    /// Row of the site table.
    Site(Site),
    /// Name of a native frame.
    NativeName(NativeName),
    /// Counters of a site.
    SiteCounters(SiteCounters),
    /// Counters of a domain or the total.
    ScopeCounters(ScopeCounters),
    /// Size histogram of a domain.
    Sizes(Sizes),
    /// State of pymalloc.
    Pymalloc(Pymalloc),
    /// How exact it is.
    Quality(Quality),
    /// A point of the timeline.
    Timeline(TimelinePoint),
    /// A named moment.
    Mark(Mark),
    /// What the tear-down did.
    Shutdown(Shutdown),
    /// How it ended.
    End(End),
}
