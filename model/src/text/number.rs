//! Numbers as people read them. None is wider than ten columns but exact counts.

/// An exact count in groups of three: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count in three digits: `999`, `12.3k`, `4.56M`.
pub fn compact_count(number: u64) -> String {
    if number < 1000 {
        return number.to_string();
    }
    let (value, unit) = scaled(number, 1000.0, &["k", "M", "G", "T", "P", "E"]);
    format!("{value}{unit}")
}

/// A number of bytes in three digits: `512 B`, `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (value, unit) = scaled(bytes, 1024.0, &["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
    format!("{value} {unit}")
}

/// A number of bytes that is often a round one: `16 KiB` instead of `16.0 KiB`.
pub fn whole_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = bytes.trailing_zeros() / 10;
    let value = bytes.checked_shr(unit * 10).unwrap_or(0);
    if value > 0 && value < 1024 {
        format!("{value} {}", UNITS[unit as usize])
    } else {
        size(bytes)
    }
}

/// A span of time: `412 ms`, `3.41 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds as f64 / 1e9;
    let whole = nanoseconds / 1_000_000_000;
    match nanoseconds {
        0 => "0 s".to_owned(),
        1..1_000_000 => "<1 ms".to_owned(),
        1_000_000..999_500_000 => format!("{:.0} ms", nanoseconds as f64 / 1e6),
        999_500_000..59_950_000_000 => {
            format!("{seconds:.*} s", if seconds < 9.995 { 2 } else { 1 })
        }
        59_950_000_000..3_600_000_000_000 => {
            let whole = whole.max(60);
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A share: `38.2%`, `<0.1%`; `-` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    if part == 0 {
        "0%".to_owned()
    } else if share < 0.05 {
        "<0.1%".to_owned()
    } else if part < whole && share >= 99.95 {
        "99.9%".to_owned()
    } else if share >= 99.95 {
        format!("{share:.0}%")
    } else {
        format!("{share:.1}%")
    }
}

/// Divides until three digits are left, and names the unit. `number` is at least `base`.
fn scaled(number: u64, base: f64, units: &[&'static str]) -> (String, &'static str) {
    let mut value = number as f64 / base;
    let mut unit = 0;
    while value >= base - 0.5 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    (format!("{value:.decimals$}"), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn three_digits_and_a_unit() {
        for (number, text) in [
            (999, "999"),
            (1000, "1.00k"),
            (12_345, "12.3k"),
            (999_499, "999k"),
            (999_600, "1.00M"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(compact_count(number), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_235, "10.0 KiB"),
            (12_897_484, "12.3 MiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (1023 << 10, "1023 KiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (1000, "1000 B"),
            (1 << 20, "1 MiB"),
            (16_384, "16 KiB"),
            (1_536, "1.50 KiB"),
            (1 << 63, "8 EiB"),
        ] {
            assert_eq!(whole_size(bytes), text);
        }
    }

    #[test]
    fn durations_change_their_unit() {
        for (nanoseconds, text) in [
            (0, "0 s"),
            (999_999, "<1 ms"),
            (412_300_000, "412 ms"),
            (999_600_000, "1.00 s"),
            (3_412_000_000, "3.41 s"),
            (59_900_000_000, "59.9 s"),
            (59_960_000_000, "1 min 00 s"),
            (125_000_000_000, "2 min 05 s"),
            (3_720_000_000_000, "1 h 02 min"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }

    #[test]
    fn shares_are_never_rounded_to_none_or_all() {
        for (part, whole, text) in [
            (0, 0, "-"),
            (0, 7, "0%"),
            (1, 1_000_000, "<0.1%"),
            (382, 1000, "38.2%"),
            (999_999, 1_000_000, "99.9%"),
            (7, 7, "100%"),
            (21, 7, "300%"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }
}
