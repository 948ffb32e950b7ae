//! GTID sets: what a server has committed, what we have applied, and whether one contains the other.
//!
//! Intervals are half-open inside (`1..6`), closed in text (`1-5`): the only two places where they meet are [`GtidSet::parse`] and
//! `Display`. Tagged GTIDs (MySQL 8.3, `uuid:tag:1-5`) are sources of their own. Servers print `,\n` between sources and repeat no
//! UUID for tags (`uuid:1-3:tag:1-2`); both are read. What does not parse is an error, never an empty set: an empty set would
//! ask the source for its whole history.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A server's UUID, and the tag if there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub uuid: [u8; 16],
    pub tag: String,
}

/// The identifier of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gtid {
    pub origin: Origin,
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a GTID set: {0:?}")]
pub struct BadGtidSet(pub String);

/// For each origin, disjoint half-open intervals in ascending order that never touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    origins: BTreeMap<Origin, Vec<Range<u64>>>,
}

impl GtidSet {
    pub fn parse(text: &str) -> Result<Self, BadGtidSet> {
        let mut set = Self::default();
        for source in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            set.parse_source(source).ok_or_else(|| BadGtidSet(source.chars().take(80).collect()))?;
        }
        Ok(set)
    }

    fn parse_source(&mut self, source: &str) -> Option<()> {
        let mut parts = source.split(':').map(str::trim);
        let mut origin = Origin { uuid: parse_uuid(parts.next()?)?, tag: String::new() };
        let mut intervals = 0;
        for part in parts {
            if part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                origin.tag = part.to_ascii_lowercase();
                continue;
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first == 0 || last < first {
                return None;
            }
            self.insert_range(&origin, first..last.checked_add(1)?);
            intervals += 1;
        }
        (intervals > 0).then_some(())
    }

    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    pub fn insert(&mut self, gtid: &Gtid) {
        // The common case by far: the next number of an origin that we know.
        if let Some(last) = self.origins.get_mut(&gtid.origin).and_then(|ranges| ranges.last_mut())
            && last.end == gtid.number
        {
            last.end += 1;
            return;
        }
        self.insert_range(&gtid.origin, gtid.number..gtid.number.saturating_add(1));
    }

    fn insert_range(&mut self, origin: &Origin, new: Range<u64>) {
        let ranges = self.origins.entry(origin.clone()).or_default();
        let first = ranges.partition_point(|range| range.end < new.start);
        let last = ranges.partition_point(|range| range.start <= new.end);
        let merged = match ranges.get(first..last) {
            Some([]) | None => new,
            Some(touching) => {
                let start = touching.first().map_or(new.start, |range| range.start.min(new.start));
                let end = touching.last().map_or(new.end, |range| range.end.max(new.end));
                start..end
            }
        };
        ranges.splice(first..last, [merged]);
    }

    pub fn union(&mut self, other: &GtidSet) {
        for (origin, ranges) in &other.origins {
            for range in ranges {
                self.insert_range(origin, range.clone());
            }
        }
    }

    /// Takes every transaction of `other` out.
    pub fn subtract(&mut self, other: &GtidSet) {
        for (origin, gone) in &other.origins {
            let Some(ranges) = self.origins.get_mut(origin) else { continue };
            for gone in gone {
                let cut = |range: &Range<u64>| [range.start..range.end.min(gone.start), range.start.max(gone.end)..range.end];
                *ranges = ranges.iter().flat_map(cut).filter(|range| !range.is_empty()).collect();
            }
            if ranges.is_empty() {
                self.origins.remove(origin);
            }
        }
    }

    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.covers(&gtid.origin, &(gtid.number..gtid.number.saturating_add(1)))
    }

    /// True when every transaction of `other` is in this set.
    pub fn contains_all(&self, other: &GtidSet) -> bool {
        other.origins.iter().all(|(origin, ranges)| ranges.iter().all(|range| self.covers(origin, range)))
    }

    fn covers(&self, origin: &Origin, wanted: &Range<u64>) -> bool {
        self.origins.get(origin).is_some_and(|ranges| {
            let at = ranges.partition_point(|range| range.end <= wanted.start);
            ranges.get(at).is_some_and(|range| range.start <= wanted.start && wanted.end <= range.end)
        })
    }

    /// How many transactions of `self` are missing in `other`.
    pub fn count_missing_in(&self, other: &GtidSet) -> u64 {
        let mut missing = 0;
        for (origin, ranges) in &self.origins {
            let theirs = other.origins.get(origin).map_or(&[][..], Vec::as_slice);
            for range in ranges {
                let common: u64 =
                    theirs.iter().map(|other| range.end.min(other.end).saturating_sub(range.start.max(other.start))).sum();
                missing += (range.end - range.start).saturating_sub(common);
            }
        }
        missing
    }

    /// Each origin with its half-open intervals, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Origin, &[Range<u64>])> {
        self.origins.iter().map(|(origin, ranges)| (origin, ranges.as_slice()))
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let mut uuid = [0_u8; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0_u8, |value, digit| (value << 4) | (*digit as u8 & 0xf));
    }
    Some(uuid)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.uuid.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        if !self.tag.is_empty() {
            write!(f, ":{}", self.tag)?;
        }
        Ok(())
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.number)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (origin, ranges)) in self.origins.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{origin}")?;
            for range in ranges {
                match range.end - range.start {
                    1 => write!(f, ":{}", range.start)?,
                    _ => write!(f, ":{}-{}", range.start, range.end - 1)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(text).expect("a GTID set")
    }

    #[test]
    fn prints_what_it_read_in_canonical_form() {
        assert_eq!(set(&format!("{B}:7,\n{A}:1-3:4-5:9")).to_string(), format!("{A}:1-5:9,{B}:7"));
        assert_eq!(set("").to_string(), "");
    }

    #[test]
    fn tags_are_origins_of_their_own() {
        let tagged = set(&format!("{A}:1-3:blue:1-2"));
        assert_eq!(tagged.to_string(), format!("{A}:1-3,{A}:blue:1-2"));
        assert!(!set(&format!("{A}:1-9")).contains_all(&tagged));
        assert_eq!(set(&tagged.to_string()), tagged);
    }

    #[test]
    fn nonsense_is_an_error_never_an_empty_set() {
        for text in ["x", A, &format!("{A}:0-3"), &format!("{A}:5-3"), &format!("{A}:a-b-1:"), "1-5"] {
            assert!(GtidSet::parse(text).is_err(), "{text} was read as a set");
        }
    }

    #[test]
    fn missing_transactions_are_counted_per_origin() {
        assert_eq!(set(&format!("{A}:1-10,{B}:1-2")).count_missing_in(&set(&format!("{A}:1-4:6"))), 7);
    }

    /// A set over two servers, one of them with and without a tag, and the same as plain members.
    fn any_set() -> impl Strategy<Value = (GtidSet, std::collections::BTreeSet<(usize, u64)>)> {
        prop::collection::vec((0_usize..3, 1_u64..40), 0..50).prop_map(|members| {
            let mut set = GtidSet::default();
            for (origin, number) in &members {
                set.insert(&Gtid { origin: origin_of(*origin), number: *number });
            }
            (set, members.into_iter().collect())
        })
    }

    fn origin_of(which: usize) -> Origin {
        let (uuid, tag) = [([1; 16], ""), ([1; 16], "blue"), ([2; 16], "")][which];
        Origin { uuid, tag: tag.to_owned() }
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets_of_their_members((a, members_a) in any_set(), (b, members_b) in any_set()) {
            let (mut union, mut rest) = (a.clone(), a.clone());
            union.union(&b);
            rest.subtract(&b);
            for which in 0..3 {
                for number in 1..40 {
                    let (gtid, member) = (Gtid { origin: origin_of(which), number }, (which, number));
                    prop_assert_eq!(union.contains(&gtid), members_a.contains(&member) || members_b.contains(&member));
                    prop_assert_eq!(rest.contains(&gtid), members_a.contains(&member) && !members_b.contains(&member));
                }
            }
            prop_assert_eq!(a.contains_all(&b), members_b.is_subset(&members_a));
            prop_assert_eq!(a.count_missing_in(&b), members_a.difference(&members_b).count() as u64);
            prop_assert!(union.contains_all(&a) && union.contains_all(&b) && a.contains_all(&rest));
            prop_assert_eq!(rest.is_empty(), members_a.is_subset(&members_b));
            prop_assert_eq!(GtidSet::parse(&union.to_string()).expect("printed set"), union);
        }

        #[test]
        fn insertion_in_any_order_gives_the_same_set(mut numbers in prop::collection::vec(1_u64..60, 0..40)) {
            let origin = Origin { uuid: [7; 16], tag: String::new() };
            let build = |numbers: &[u64]| {
                let mut set = GtidSet::default();
                for number in numbers {
                    set.insert(&Gtid { origin: origin.clone(), number: *number });
                }
                set
            };
            let forward = build(&numbers);
            for number in 1_u64..60 {
                prop_assert_eq!(forward.contains(&Gtid { origin: origin.clone(), number }), numbers.contains(&number));
            }
            prop_assert_eq!(&GtidSet::parse(&forward.to_string()).expect("printed set"), &forward);
            numbers.reverse();
            prop_assert_eq!(build(&numbers), forward);
        }
    }
}
