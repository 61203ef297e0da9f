//! Running a scenario over many seeds, or one again. The environment says which; `scripts/simulate` sets it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::simulation::Verdict;

/// One run of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Everything random follows from it.
    pub seed: u64,
    /// Print the history.
    pub verbose: bool,
}

/// A scenario runs to its end and says what was wrong.
pub type Scenario = fn(Run) -> Verdict;

/// Failures shown before a run over many seeds gives up.
const SHOWN: usize = 5;

/// Runs `scenario` over `count` seeds, or as `SIM_SEED` (one seed, with its history), `SIM_SEEDS` (how many), `SIM_FIRST`
/// and `SIM_JOBS` (threads) say. Fails with the findings of the first seeds that had any.
pub fn run(name: &str, scenario: Scenario, count: u64) {
    if let Some(seed) = number("SIM_SEED") {
        let verdict = judge(scenario, Run { seed, verbose: true });
        println!("seed {seed}: {} lines of history, digest {:016x}", verdict.lines, verdict.digest);
        assert!(verdict.findings.is_empty(), "seed {seed} of {name}:\n  {}", verdict.findings.join("\n  "));
        return;
    }
    let first = number("SIM_FIRST").unwrap_or(0);
    let seeds = first..first + number("SIM_SEEDS").unwrap_or(count);
    let failed = search(scenario, seeds, number("SIM_JOBS").unwrap_or(1));
    let shown: Vec<String> = failed
        .iter()
        .map(|(seed, findings)| {
            let findings = findings.join("\n  ");
            format!("seed {seed} (again: scripts/simulate {name} --seed {seed}):\n  {findings}")
        })
        .collect();
    assert!(shown.is_empty(), "{name}: the first seeds that failed\n{}", shown.join("\n"));
}

/// The lowest seeds with findings, at most [`SHOWN`], in order.
fn search(scenario: Scenario, seeds: std::ops::Range<u64>, jobs: u64) -> Vec<(u64, Vec<String>)> {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let verdict = judge(scenario, Run { seed, verbose: false });
                    if !verdict.findings.is_empty() {
                        let mut failed = failed.lock().expect("no panic inside");
                        failed.push((seed, verdict.findings));
                        stop.store(failed.len() >= SHOWN, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("no panic inside");
    failed.sort();
    failed
}

/// A run that panics has found something too.
fn judge(scenario: Scenario, run: Run) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| scenario(run))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let finding = format!("panicked: {}", text.unwrap_or_default());
        Verdict { findings: vec![finding], digest: 0, lines: 0 }
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
