//! Amounts as people type them: sizes, counts, shares.
//!
//! Invariant: nothing is rounded up and nothing overflows: `1.5KiB` is 1536, and what is no whole number loses its
//! fraction.

/// Factors by the letters that name them, lower case. As in GNU's tools, `K` and `KiB` are 1024, `KB` is 1000.
const BYTE_UNITS: [(&str, u64); 15] = [
    ("", 1),
    ("b", 1),
    ("bytes", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

const COUNT_UNITS: [(&str, u64); 4] = [
    ("", 1),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
];

/// A number of bytes: `512`, `64K`, `10MiB`, `1.5GB`.
///
/// # Errors
/// What is accepted.
pub fn bytes(text: &str) -> Result<u64, String> {
    with_unit(text, &BYTE_UNITS).ok_or_else(|| {
        "give a number of bytes, such as 512, 64K, 10MiB or 1.5GB (K and KiB are 1024 bytes, KB is 1000)"
            .to_string()
    })
}

/// A number of things: `20000`, `20k`, `1.5M`.
///
/// # Errors
/// What is accepted.
pub fn count(text: &str) -> Result<u64, String> {
    with_unit(text, &COUNT_UNITS)
        .ok_or_else(|| "give a number, such as 20000, 20k or 1.5M (k is 1000)".to_string())
}

/// How much more than before is accepted, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    millionths: u64,
}

impl Tolerance {
    /// What is accepted where nothing else is asked for.
    pub const DEFAULT: Tolerance = Tolerance { millionths: 50_000 };

    /// A tolerance as typed: `5%`, `0.5%`; the sign may be left out.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<Tolerance, String> {
        let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
        match scaled(number, 10_000) {
            Some(millionths) => Ok(Tolerance { millionths }),
            None => Err("give a share, such as 5% or 0.5%".to_string()),
        }
    }

    /// The most that is accepted where `before` was.
    pub fn most(self, before: u64) -> u64 {
        let more = u128::from(before) * u128::from(self.millionths) / 1_000_000;
        u64::try_from(u128::from(before) + more).unwrap_or(u64::MAX)
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        self.millionths as f64 / 10_000.0
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let is_digit = |character: char| character.is_ascii_digit() || character == '.';
    let end = text.find(|character| !is_digit(character));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    scaled(number, factor)
}

/// A decimal number, such as `12`, `1.5` or `.5`, times a factor.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // Digits that are worth less than one of what is counted are no matter.
    let fraction = &fraction[..fraction.len().min(15)];
    let value = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<u64>().ok(),
    };
    let below = u128::from(value(fraction)?) * u128::from(factor)
        / 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let above = u128::from(value(whole)?) * u128::from(factor);
    u64::try_from(above + below).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_typed_and_as_printed() {
        for (text, expected) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64K", 65_536),
            ("64k", 65_536),
            ("10MiB", 10 << 20),
            ("10.0 MiB", 10 << 20),
            ("1.5GB", 1_500_000_000),
            ("1.5G", 3 << 29),
            (".5K", 512),
            ("0.3K", 307),
            ("1.KB", 1_000),
            ("16777215TiB", 16_777_215 << 40),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            ".",
            "K",
            "-1",
            "+1",
            "1e6",
            "1..2",
            "1.2.3",
            "10 mebi",
            "1K1",
            "16777216T",
            "٣",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_are_in_thousands() {
        assert_eq!(count("20k"), Ok(20_000));
        assert_eq!(count("1.5M"), Ok(1_500_000));
        assert!(count("20KiB").is_err());
    }

    #[test]
    fn tolerances_are_exact() {
        let most = |text, before| Tolerance::parse(text).unwrap().most(before);
        assert_eq!(most("5%", 1_000), 1_050);
        assert_eq!(most("5", 19), 19);
        assert_eq!(most("0.5 %", 1_000), 1_005);
        assert_eq!(most("0%", 7), 7);
        assert_eq!(most("100%", u64::MAX), u64::MAX);
        for text in ["", "%", "5%%", "-5%", "five"] {
            assert!(Tolerance::parse(text).is_err(), "{text}");
        }
    }
}
