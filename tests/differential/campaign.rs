//! Seed after seed, route after route.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::task::JoinSet;

use super::settings::{self, Route};
use super::stage::Stage;
use super::table::quoted;
use super::voyage::{Tally, Voyage, has_gtid};

/// One at a time: on a small machine, two would only slow each other down.
static TURN: Mutex<()> = Mutex::const_new(());

/// The stages of one route, without GTIDs and with: each started when it is first needed.
#[derive(Default)]
struct Stages(HashMap<bool, Arc<OnceCell<Arc<Stage>>>>);

impl Stages {
    async fn get(stages: &Mutex<Self>, route: Route, gtid: bool) -> Arc<Stage> {
        let cell = Arc::clone(stages.lock().await.0.entry(gtid).or_default());
        Arc::clone(cell.get_or_init(|| async { Arc::new(Stage::start(route, gtid).await) }).await)
    }
}

/// Runs one seed; the error says all that is known of a failure.
async fn one(route: Route, seed: u64, stages: Arc<Mutex<Stages>>) -> Result<Tally, String> {
    let stage = Stages::get(&stages, route, has_gtid(seed)).await;
    let (begin, gtid) = (Instant::now(), stage.gtid);
    println!("seed {seed} on {route} {}", if gtid { "with GTIDs" } else { "without GTIDs" });
    let voyage = Arc::new(Voyage::new(seed, Arc::clone(&stage)));
    let running = Arc::clone(&voyage);
    // A task of its own, whose panic is a failure of this seed and not of all.
    let ended = tokio::spawn(async move { running.run().await }).await;
    if ended.as_ref().map_or(true, |tally| tally.unwitnessed > 0) {
        // The next seed gets servers of its own: a witness that has stopped is none for it, either.
        stages.lock().await.0.remove(&gtid);
    }
    stage.clear(&quoted(&voyage.schema), &voyage.task).await;
    match ended {
        Ok(tally) => {
            println!("seed {seed}: equal after {:.1} s; {}", begin.elapsed().as_secs_f64(), describe(&tally));
            Ok(tally)
        }
        Err(error) => {
            let panic = error.into_panic();
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned())).unwrap_or_default();
            let failure = format!(
                "seed {seed} on {route}, gtid {gtid}, failed\n{words}\nthe journal (schema, statements) and the daemon's log: {}\n\
                 again: POLARFERRY_FUZZ_SEED={seed} POLARFERRY_FUZZ_ROUTE={route} cargo test --test differential campaign",
                voyage.evidence.display()
            );
            println!("{failure}");
            Err(failure)
        }
    }
}

fn describe(tally: &Tally) -> String {
    let written = &tally.written;
    let alone = match tally.unwitnessed {
        0 => String::new(),
        seeds => format!(", {seeds} seeds without a native replica to compare with"),
    };
    format!(
        "{} transactions, {} of {} statements refused, {} rows of {} tables compared, {} kills, {} stops, {} cuts{alone}",
        written.transactions, written.refused, written.statements, tally.rows, tally.tables, tally.kills, tally.stops, tally.cuts
    )
}

/// All seeds on one route.
async fn on_route(route: Route, seeds: &[u64]) -> Vec<String> {
    let stages = Arc::new(Mutex::new(Stages::default()));
    let free = Arc::new(Semaphore::new(settings::jobs()));
    let mut running = JoinSet::new();
    for seed in seeds.iter().copied() {
        let permit = Arc::clone(&free).acquire_owned().await.expect("nobody closes it");
        let stages = Arc::clone(&stages);
        running.spawn(async move {
            let result = one(route, seed, stages).await;
            drop(permit);
            result
        });
    }
    let (mut total, mut failures) = (Tally::default(), Vec::new());
    for result in running.join_all().await {
        match result {
            Ok(tally) => total.add(tally),
            Err(failure) => failures.push(failure),
        }
    }
    // About one seed in a hundred has no witness; where many have none, something else is wrong.
    if total.unwitnessed > 1 + seeds.len() as u64 / 20 {
        failures.push(format!("{route}: {} of {} seeds had no native replica to compare with", total.unwitnessed, seeds.len()));
    }
    println!("{route}: {} seeds, {} failed; {}", seeds.len(), failures.len(), describe(&total));
    failures
}

/// # Panics
/// When a seed fails, after all of them have run.
pub async fn run(routes: &[Route], seeds: &[u64]) {
    let _turn = TURN.lock().await;
    let mut failures = Vec::new();
    for route in routes {
        failures.extend(on_route(*route, seeds).await);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_of_random_schemas_arrives_as_on_a_native_replica() {
    let seeds = settings::seeds();
    println!("POLARFERRY_FUZZ_SEED={}", seeds.first().copied().unwrap_or_default());
    run(&settings::routes(), &seeds).await;
}
