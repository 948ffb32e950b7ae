//! Seeds that once found a defect, each by the name of what it found. The defect has a small case of its own in `tests/real`, for a
//! seed draws something else when the generator changes; it stays for what it may meet on the way.

use super::campaign;
use super::settings::Route;

/// Seed 12: two DOUBLEs that differ only in the sign of a zero, in a table without a key; the wrong one of two rows went.
#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_key_that_are_only_held_equal_are_told_apart() {
    campaign::run(&[Route::V97], &[12]).await;
}
