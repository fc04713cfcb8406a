//! Random records from a seed: every kind, numbers of every width, strings of every length class.

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::*;

/// SplitMix64: one multiply-shift a step, good enough to reach every branch and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number whose width is random too, so that varints of every length occur.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    fn small(&mut self) -> u32 {
        let shift = self.below(32);
        (self.next() as u32) >> shift
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn text(&mut self) -> String {
        let length = self.pick(&[0, 1, 5, 127, 128, 1000]);
        (0..length)
            .map(|_| self.pick(&['a', '/', '\0', '\u{1b}', 'é', '漢', '🐍']))
            .collect()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Random) -> T) -> Vec<T> {
        (0..self.below(200)).map(|_| item(self)).collect()
    }

    fn counters(&mut self) -> Counters {
        Counters {
            allocations: self.number(),
            reallocations: self.number(),
            frees: self.number(),
            requested_bytes: self.number(),
            served_bytes: self.number(),
            live_blocks: self.number(),
            live_bytes: self.number(),
            peak_bytes: self.number(),
            temporary_allocations: self.number(),
        }
    }

    /// A record of kind `kind` (0 to 16).
    pub(crate) fn record(&mut self, kind: u64) -> Record {
        match kind {
            0 => Record::Process(Process {
                pid: self.small(),
                parent_pid: self.small(),
                started_at_unix_ns: self.number(),
                argv0: self.text(),
                program: self.text(),
                executable: self.text(),
                python_version: self.text(),
                free_threaded: self.pick(&[false, true]),
                tree: self.text(),
                allocator: self.pick(&[
                    Allocator::Unknown,
                    Allocator::Pymalloc,
                    Allocator::PymallocDebug,
                    Allocator::Malloc,
                    Allocator::MallocDebug,
                    Allocator::Mimalloc,
                    Allocator::MimallocDebug,
                ]),
                no_stacks_reason: self.text(),
            }),
            1 => Record::Settings(Settings {
                mode: self.pick(&[Mode::Sites, Mode::Counts, Mode::Events]),
                native: self.pick(&[Native::Caller, Native::Full, Native::Off]),
                depth: self.small(),
                domains: self.list(|random| random.pick(&Domain::ALL)),
                interval_ms: self.small(),
            }),
            2 => Record::String(self.text()),
            3 => Record::Module(Module {
                path: StringId(self.small()),
                build_id: self.list(|random| random.next() as u8),
            }),
            4 => Record::Frame(if self.below(2) == 0 {
                Frame::Python {
                    function: StringId(self.small()),
                    file: StringId(self.small()),
                    line: self.small(),
                }
            } else {
                Frame::Native {
                    module: ModuleId(self.small()),
                    address: self.number(),
                }
            }),
            5 => Record::Stack(Stack {
                parent: StackId(self.small()),
                frame: FrameId(self.small()),
            }),
            6 => Record::Site(Site {
                domain: self.pick(&Domain::ALL),
                stack: StackId(self.small()),
            }),
            7 => Record::NativeName(NativeName {
                frame: FrameId(self.small()),
                function: StringId(self.small()),
                file: StringId(self.small()),
                line: self.small(),
            }),
            8 => Record::SiteCounters(SiteCounters {
                site: SiteId(self.small()),
                counters: self.counters(),
            }),
            9 => Record::ScopeCounters(ScopeCounters {
                scope: self.pick(&[
                    Scope::Domain(Domain::Raw),
                    Scope::Domain(Domain::Mem),
                    Scope::Domain(Domain::Object),
                    Scope::Domain(Domain::Malloc),
                    Scope::Domain(Domain::Mmap),
                    Scope::Total,
                ]),
                counters: self.counters(),
                max_live_bytes: self.number(),
                max_live_at_ns: self.number(),
                max_size_bytes: self.number(),
            }),
            10 => Record::Sizes(Sizes {
                domain: self.pick(&Domain::ALL),
                buckets: self.list(|random| SizeBucket {
                    from: random.number(),
                    to: random.number(),
                    allocations: random.number(),
                    requested_bytes: random.number(),
                    live_blocks: random.number(),
                }),
            }),
            11 => Record::Pymalloc(Pymalloc {
                moment: self.pick(&[Moment::Exit, Moment::ExitByEvents, Moment::Peak]),
                arena_bytes: self.number(),
                pool_bytes: self.number(),
                arenas: self.number(),
                arenas_peak: self.number(),
                arenas_allocated_total: self.number(),
                arenas_freed_total: self.number(),
                pools_total: self.number(),
                pools_free: self.number(),
                pools_partial: self.number(),
                pools_full: self.number(),
                classes: self.list(|random| SizeClass {
                    size: random.small(),
                    pools: random.number(),
                    blocks_in_use: random.number(),
                    blocks_free: random.number(),
                }),
                arena_bytes_in_use: self.list(Random::number),
            }),
            12 => Record::Quality(Quality {
                events: self.number(),
                lost_events: self.number(),
                unmatched_frees: self.number(),
                missed_frees: self.number(),
                inherited_frees: self.number(),
                unmatched_while_paused: self.number(),
                truncated_stacks: self.number(),
                peak_error_bytes: self.number(),
                own_cpu_ns: self.number(),
                own_memory_bytes: self.number(),
            }),
            13 => Record::Timeline(TimelinePoint {
                at_ns: self.number(),
                live_bytes: self.number(),
                rss_bytes: self.number(),
                arenas: self.number(),
                allocations: self.number(),
            }),
            14 => Record::Mark(Mark {
                at_ns: self.number(),
                name: self.text(),
            }),
            15 => Record::Shutdown(Shutdown {
                allocations: self.number(),
                frees: self.number(),
                requested_bytes: self.number(),
            }),
            _ => Record::End(End {
                ended: self.pick(&[Ended::Exit, Ended::Exec, Ended::Signal, Ended::Running]),
                at_ns: self.number(),
            }),
        }
    }
}

/// Kinds that [`Random::record`] makes.
pub(crate) const KINDS: u64 = 17;
