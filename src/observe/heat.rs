//! Which tables change most: where a lag comes from.
//!
//! Each table has a count of its changes that halves every minute. Divided by the time for which it remembers, it is the rate of the
//! last minutes. A label for each table in `/metrics` would be a label without bound, so this is shown in `/status` only.

use std::collections::HashMap;
use std::time::Instant;

use super::snapshot::HotTable;
use crate::model::table::TableName;

/// Seconds in which a count halves.
const HALF_LIFE: f64 = 60.0;
/// Tables that are shown.
const SHOWN: usize = 10;
/// Changes a second below which a table is forgotten.
const COLD: f64 = 0.005;

#[derive(Debug)]
pub(super) struct Heat {
    counts: HashMap<TableName, f64>,
    /// What the counts were last brought up to.
    at: Instant,
}

impl Heat {
    pub fn new(now: Instant) -> Self {
        Self { counts: HashMap::new(), at: now }
    }

    pub fn add(&mut self, table: &TableName, changes: u64) {
        *self.counts.entry(table.clone()).or_default() += changes as f64;
    }

    /// The tables that change most, those first.
    pub fn hottest(&mut self, now: Instant) -> Vec<HotTable> {
        let left = (-now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE).exp2();
        self.at = now;
        let rate = |count: f64| count * std::f64::consts::LN_2 / HALF_LIFE;
        self.counts.retain(|_, count| {
            *count *= left;
            rate(*count) >= COLD
        });
        let mut tables: Vec<(&TableName, f64)> = self.counts.iter().map(|(name, count)| (name, rate(*count))).collect();
        tables.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        tables.truncate(SHOWN);
        tables.into_iter().map(|(name, rate)| HotTable { name: name.to_string(), changes_per_second: rate }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_steady_rate_is_shown_as_it_is_and_fades_when_it_ends() {
        let start = Instant::now();
        let mut heat = Heat::new(start);
        for second in 0..900 {
            heat.add(&TableName::new("shop", "orders"), 100);
            heat.add(&TableName::new("shop", "log"), 10);
            heat.hottest(start + Duration::from_secs(second));
        }
        let after = |seconds: u64| start + Duration::from_secs(899 + seconds);
        let hottest = heat.hottest(after(0));
        assert_eq!(hottest.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["shop.orders", "shop.log"]);
        assert!((hottest[0].changes_per_second - 100.0).abs() < 1.0, "{hottest:?}");
        assert!((heat.hottest(after(60))[0].changes_per_second - 50.0).abs() < 1.0);
        assert_eq!(heat.hottest(after(3600)), []);
    }

    #[test]
    fn no_more_than_ten_are_shown() {
        let mut heat = Heat::new(Instant::now());
        (0..30).for_each(|table| heat.add(&TableName::new("d", format!("t{table:02}")), 100 + table));
        let hottest = heat.hottest(Instant::now());
        assert_eq!((hottest.len(), hottest[0].name.as_str()), (SHOWN, "d.t29"));
    }
}
