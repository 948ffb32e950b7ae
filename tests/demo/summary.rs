//! The last page: what was done, how fast, and whether both ends are equal.

use crate::proof::{Method, TableProof};
use crate::rehearsal::Rehearsal;
use crate::screen::{lag, span, thousands, wrapped};
use crate::watch::Seen;

pub struct Summary<'a> {
    pub title: String,
    pub committed: u64,
    pub seen: &'a Seen,
    pub rehearsal: &'a Rehearsal,
    pub proofs: &'a [TableProof],
}

impl Summary<'_> {
    /// Whether every table is equal.
    pub fn is_equal(&self) -> bool {
        self.proofs.iter().all(|proof| proof.equal)
    }

    pub fn print(&self) {
        let (seen, rehearsal) = (self.seen, self.rehearsal);
        let copied = rehearsal.last.rows_copied;
        let rate = copied as f64 / seen.copy_took.as_secs_f64();
        println!("\n{}", self.title);
        println!("  copied    {} rows in {}: {} rows/s", thousands(copied), span(seen.copy_took), thousands(rate as u64));
        println!(
            "  streamed  {} transactions, of {} that the writer committed in all",
            thousands(rehearsal.last.transactions),
            thousands(self.committed)
        );
        println!("  lag       at most {}; drained {} after the last write", lag(seen.highest_lag), span(rehearsal.drained));
        println!("  cutover   {}", rehearsal.verdict.in_short());
        println!("  stopped   by SIGTERM, in {}, with exit code 0", span(rehearsal.stopped));
        println!("{}", wrapped("  proof     ", &self.method()));
        for pair in self.proofs.chunks(2) {
            let cells: Vec<String> = pair.iter().map(cell).collect();
            println!("    {}", cells.join("").trim_end());
        }
        self.print_verdict();
    }

    fn method(&self) -> String {
        let hashed: Vec<&str> =
            self.proofs.iter().filter(|proof| proof.method == Method::RowHashes).map(|proof| proof.table).collect();
        let all = "CHECKSUM TABLE and COUNT(*) on both ends";
        if hashed.is_empty() {
            return all.to_owned();
        }
        format!("{all}; for {} SHA2 of every row instead", hashed.join(", "))
    }

    fn print_verdict(&self) {
        let different: Vec<&TableProof> = self.proofs.iter().filter(|proof| !proof.equal).collect();
        let equal = self.proofs.len() - different.len();
        println!("equal: {equal} of {} tables", self.proofs.len());
        for proof in different {
            println!(
                "  differs: {}, {} rows on the source, {} on the target",
                proof.table,
                thousands(proof.source_rows),
                thousands(proof.target_rows)
            );
        }
    }
}

fn cell(proof: &TableProof) -> String {
    let word = if proof.equal { "equal" } else { "DIFFERS" };
    format!("{:<19}{:>9} {word:<8}", proof.table, thousands(proof.source_rows))
}
