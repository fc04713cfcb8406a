//! A capture such as a small pandas job leaves: the numbers are invented, their proportions are not.

use super::Synth;
use crate::record::{
    Allocator, Counters, Domain, End, Ended, Mark, Mode, Moment, Native, Process, Pymalloc,
    Quality, Record, Settings, Shutdown, SizeClass, TimelinePoint,
};

const PYTHON: &str = "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0";
const NUMPY: &str = "/home/ann/.venv/lib/python3.11/site-packages/numpy/core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so";
const PARSERS: &str = "/home/ann/.venv/lib/python3.11/site-packages/pandas/_libs/parsers.cpython-311-x86_64-linux-gnu.so";
const SITE_PACKAGES: &str = "/home/ann/.venv/lib/python3.11/site-packages";
const BOOTSTRAP: &str = "<frozen importlib._bootstrap>";

/// The capture. Sums of sites equal the domains; the histograms are invented apart from them.
pub fn realistic() -> Synth {
    let mut synth = Synth::new();
    process(&mut synth);
    sites(&mut synth);
    synth.scopes_from_sites();
    synth.sizes(
        Domain::Raw,
        &[(24, 8_000, 900), (512, 1_504, 100), (4_096, 300, 20)],
    );
    synth.sizes(
        Domain::Mem,
        &[(56, 90_000, 4_000), (160, 12_345, 800), (2_048, 700, 100)],
    );
    synth.sizes(
        Domain::Object,
        &[
            (16, 20_000, 10),
            (28, 1_300_000, 100_100),
            (32, 400_000, 60_000),
            (49, 900_000, 350_000),
            (64, 200_000, 12_000),
            (120, 80_000, 9_000),
            (240, 30_000, 1_200),
            (1_000, 6_000, 300),
            (4_000, 500, 20),
        ],
    );
    synth.sizes(
        Domain::Malloc,
        &[(40, 3_000, 50), (8_192, 900, 30), (8_000_000, 24, 9)],
    );
    synth.sizes(Domain::Mmap, &[(262_144, 12, 4)]);
    pymalloc(&mut synth);
    synth.record(Record::Quality(Quality {
        events: 6_104_400,
        unmatched_frees: 12,
        own_cpu_ns: 310_000_000,
        own_memory_bytes: 19_300_000,
        ..Quality::default()
    }));
    for step in 0..5u64 {
        synth.record(Record::Timeline(TimelinePoint {
            at_ns: step * 800_000_000,
            live_bytes: step * 18_000_000,
            rss_bytes: 30_000_000 + step * 20_000_000,
            arenas: 2 + step * 9,
            allocations: step * 760_000,
        }));
    }
    synth.record(Record::Mark(Mark {
        at_ns: 1_200_000_000,
        name: "loaded".into(),
    }));
    synth.record(Record::Shutdown(Shutdown {
        allocations: 2_301,
        frees: 498_220,
        requested_bytes: 310_776,
    }));
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 3_412_000_000,
    }));
    synth
}

fn process(synth: &mut Synth) {
    synth.record(Record::Process(Process {
        pid: 41_207,
        parent_pid: 41_100,
        started_at_unix_ns: 1_750_000_000_000_000_000,
        argv0: "python".into(),
        program: "pipeline.py".into(),
        executable: "/home/ann/.venv/bin/python3.11".into(),
        python_version: "3.11.7".into(),
        free_threaded: false,
        tree: "5f3a:41207".into(),
        allocator: Allocator::Pymalloc,
        no_stacks_reason: String::new(),
    }));
    synth.record(Record::Settings(Settings {
        mode: Mode::Sites,
        native: Native::Caller,
        depth: 0,
        domains: Domain::ALL.to_vec(),
        interval_ms: 100,
    }));
}

/// allocations, reallocations, mean size, percentages: live, at peak, temporary
fn counters(born: u64, resized: u64, size: u64, live: u64, peak: u64, temporary: u64) -> Counters {
    let live_blocks = born * live / 100;
    Counters {
        allocations: born,
        reallocations: resized,
        frees: born - live_blocks,
        requested_bytes: (born + resized) * size,
        served_bytes: (born + resized) * size.next_multiple_of(16),
        live_blocks,
        live_bytes: live_blocks * size,
        peak_bytes: born * peak / 100 * size,
        temporary_allocations: born * temporary / 100,
    }
}

fn sites(synth: &mut Synth) {
    let main = synth.python("<module>", "/home/ann/work/pipeline.py", 41);
    let load = synth.python("load_orders", "/home/ann/work/pipeline.py", 18);
    let loop_line = synth.python(
        "Pipeline.normalise.<locals>.<listcomp>",
        "/home/ann/work/orders/stages/normalise.py",
        112,
    );
    let stage = synth.python(
        "Pipeline.normalise",
        "/home/ann/work/orders/stages/normalise.py",
        109,
    );
    let read_csv = synth.python(
        "read_csv",
        &format!("{SITE_PACKAGES}/pandas/io/parsers/readers.py"),
        948,
    );
    let c_parser = synth.python(
        "CParserWrapper.read",
        &format!("{SITE_PACKAGES}/pandas/io/parsers/c_parser_wrapper.py"),
        234,
    );
    let concat = synth.python(
        "_concatenate_join_units",
        &format!("{SITE_PACKAGES}/pandas/core/internals/concat.py"),
        382,
    );
    let decode = synth.python(
        "JSONDecoder.raw_decode",
        "/usr/lib/python3.11/json/decoder.py",
        353,
    );
    let compile = synth.python(
        "_compile_bytecode",
        "<frozen importlib._bootstrap_external>",
        672,
    );
    let get_code = synth.python(
        "SourceLoader.get_code",
        "<frozen importlib._bootstrap_external>",
        1016,
    );
    let load_unlocked = synth.python("_load_unlocked", BOOTSTRAP, 690);
    let find_and_load = synth.python("_find_and_load", BOOTSTRAP, 1176);
    let import_line = synth.python("<module>", "/home/ann/work/pipeline.py", 3);

    let long_new = synth.native(PYTHON, 0x17_7d20, "_PyLong_New");
    let unicode_new = synth.native(PYTHON, 0x1a_0f31, "PyUnicode_New");
    let float_new = synth.native(PYTHON, 0x16_21c4, "PyFloat_FromDouble");
    let list_resize = synth.native(PYTHON, 0x17_0cc8, "list_resize");
    let dict_new = synth.native(PYTHON, 0x18_10b2, "new_keys_object");
    let marshal = synth.native(PYTHON, 0x22_4410, "r_object");
    let numpy_data = synth.native(NUMPY, 0x9_1440, "default_malloc");
    let tokens = synth.native(PARSERS, 0x3_8f2e, "make_stream_space");
    let unnamed = synth.native(PARSERS, 0x3_1b70, "");

    let mut site = |domain, frames: &[_], counters| {
        let stack = synth.stack(frames);
        synth.site(domain, stack, counters);
    };
    site(
        Domain::Malloc,
        &[numpy_data, concat, load, main],
        counters(24, 0, 8_000_000, 37, 50, 0),
    );
    site(
        Domain::Object,
        &[unicode_new, decode, stage, main],
        counters(900_000, 0, 49, 38, 42, 3),
    );
    site(
        Domain::Object,
        &[long_new, loop_line, stage, main],
        counters(1_300_000, 0, 28, 7, 9, 61),
    );
    site(
        Domain::Object,
        &[float_new, loop_line, stage, main],
        counters(400_000, 0, 24, 15, 15, 20),
    );
    site(
        Domain::Mem,
        &[list_resize, loop_line, stage, main],
        counters(90_000, 12_345, 160, 4, 9, 1),
    );
    site(
        Domain::Object,
        &[dict_new, c_parser, read_csv, load, main],
        counters(230_000, 0, 64, 6, 7, 2),
    );
    site(
        Domain::Malloc,
        &[tokens, c_parser, read_csv, load, main],
        counters(900, 0, 8_192, 3, 80, 0),
    );
    site(
        Domain::Malloc,
        &[unnamed, c_parser, read_csv, load, main],
        counters(3_000, 0, 40, 1, 1, 9),
    );
    site(
        Domain::Object,
        &[
            marshal,
            compile,
            get_code,
            load_unlocked,
            find_and_load,
            import_line,
        ],
        counters(106_500, 0, 120, 80, 80, 4),
    );
    site(
        Domain::Raw,
        &[find_and_load, import_line],
        counters(9_804, 0, 180, 10, 10, 30),
    );
    site(
        Domain::Mmap,
        &[tokens, c_parser, read_csv, load, main],
        counters(12, 0, 262_144, 34, 34, 0),
    );
}

fn pymalloc(synth: &mut Synth) {
    let class = |size: u32, pools: u64, used_percent: u64| {
        let blocks = pools * (16_384 - 48) / u64::from(size);
        let blocks_in_use = blocks * used_percent / 100;
        SizeClass {
            size,
            pools,
            blocks_in_use,
            blocks_free: blocks - blocks_in_use,
        }
    };
    let classes = vec![
        class(32, 420, 81),
        class(48, 310, 97),
        class(64, 1_130, 95),
        class(80, 96, 62),
        class(128, 88, 71),
        class(256, 64, 33),
        class(512, 32, 58),
    ];
    let state = |moment, arenas: u64, free: u64, arena_bytes_in_use| Pymalloc {
        moment,
        arena_bytes: 1 << 20,
        pool_bytes: 16_384,
        arenas,
        arenas_peak: 38,
        arenas_allocated_total: 40,
        arenas_freed_total: 40 - arenas,
        pools_total: arenas * 63,
        pools_free: free,
        pools_partial: 512,
        pools_full: arenas * 63 - free - 512,
        classes: classes.clone(),
        arena_bytes_in_use,
    };
    let fill = |arena: u64| match arena % 12 {
        0 => 30_000,
        1..4 => 300_000 + arena * 9_000,
        _ => 900_000 + arena * 3_000,
    };
    synth.record(Record::Pymalloc(state(
        Moment::Exit,
        36,
        128,
        (0..36).map(fill).collect(),
    )));
    synth.record(Record::Pymalloc(state(
        Moment::ExitByEvents,
        36,
        128,
        Vec::new(),
    )));
    synth.record(Record::Pymalloc(state(Moment::Peak, 38, 40, Vec::new())));
}
