//! Any bytes as a file, or as the payloads of frames whose checksums are right: both decoders come to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pytrace_format::Decoder;
use pytrace_format::events::EventDecoder;
use pytrace_format::synth::file_of;

fuzz_target!(|bytes: &[u8]| {
    for file in [bytes.to_vec(), file_of(bytes)] {
        let records = Decoder::new(file.as_slice()).count();
        let events = EventDecoder::new(file.as_slice()).count();
        // A row takes a byte at least, and a payload is at most 16 times as long as the file.
        assert!(records.max(events) <= 1 + 16 * file.len());
    }
});
