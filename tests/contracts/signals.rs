//! What the daemon tells systemd, and what it does about signals, credentials and failures.

use std::fs;
use std::time::{Duration, Instant};

use super::service::{DEADLINE, Service, TOKEN, Wanted, refusing};

fn config(extra: &str, service: &Service) {
    let text = fs::read_to_string(service.file()).expect("a configuration");
    fs::write(service.file(), text + extra).expect("a configuration");
}

#[test]
fn it_is_ready_before_a_database_answers_and_says_what_it_waits_for() {
    let mut service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    let status = service.told_until(|text| text.contains("again"));
    assert!(status.starts_with("STATUS=precheck, trying the source again: source-connection: "), "{status}");
    assert_eq!(service.get("/livez").0, 200);
    assert_eq!(service.get("/readyz").0, 503);
    service.signal("TERM");
    assert_eq!(service.told_of_change(), "STOPPING=1");
    assert_eq!(service.end(), Some(0), "{}", service.log());
}

#[test]
fn the_watchdog_is_fed_while_the_main_loop_comes_round() {
    let service = Service::start(&Wanted { watchdog: Some(Duration::from_secs(20)), ..Wanted::default() });
    assert_eq!(service.told(), "READY=1");
    let (began, mut fed) = (Instant::now(), 0);
    while fed < 3 {
        fed += u32::from(service.told() == "WATCHDOG=1");
        assert!(began.elapsed() < DEADLINE, "fed {fed} times");
    }
    // Paused by an operator is not hung.
    assert_eq!(service.post("/pause", TOKEN).0, 202);
    service.told_until(|text| text.contains("paused"));
    service.told_until(|text| text == "WATCHDOG=1");
}

#[test]
fn a_reload_is_announced_and_a_bad_file_changes_nothing() {
    let mut service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    config("[throttle]\ncopy_rows_per_second = 77\n", &service);
    for _ in 0..2 {
        service.signal("HUP");
        let told = service.told_of_change();
        let clock = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|clock| clock.parse::<u64>().ok());
        assert!(clock.is_some(), "{told}");
        assert_eq!(service.told_of_change(), "READY=1");
        // The second time round the file cannot be loaded.
        config("copy_bytes_per_second = \"many\"\n", &service);
    }
    service.signal("TERM");
    assert_eq!(service.told_of_change(), "STOPPING=1");
    assert_eq!(service.end(), Some(0));
    let log = service.log();
    assert!(log.contains("copy_rows_per_second: 77"), "{log}");
    assert!(log.contains("\"level\":\"ERROR\"") && log.contains("not reloaded"), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not a terminal, so every line is JSON: {line}");
    }
}

#[test]
fn a_reload_takes_level_and_token_and_names_what_must_wait() {
    let service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    let reload = || {
        service.signal("HUP");
        assert!(service.told_of_change().starts_with("RELOADING=1"));
        assert_eq!(service.told_of_change(), "READY=1");
    };
    let original = fs::read_to_string(service.file()).expect("a configuration");
    fs::write(service.file(), original.replace("shop.*", "sh*.*") + "[log]\nlevel = \"warn\"\n").expect("a configuration");
    fs::write(service.credential("http_token"), "another-token").expect("a credential");
    reload();
    assert_eq!(service.post("/pause", TOKEN).0, 403);
    assert_eq!(service.post("/pause", "another-token").0, 202);
    service.wait_for_log("[objects] include");
    let (_, status) = service.get("/status");
    assert!(status.contains("reloaded; changed: [log] level") && status.contains("wait for a restart"), "{status}");
    // At this level the first reload has said nothing of itself; the second does.
    fs::write(service.file(), original).expect("a configuration");
    reload();
    service.wait_for_log("\"message\":\"reloaded\"");
    assert_eq!(service.log().matches("\"message\":\"reloaded\"").count(), 1, "{}", service.log());
}

#[test]
fn sigusr1_writes_the_state_and_sigint_stops_as_sigterm_does() {
    let mut service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    service.signal("USR1");
    // Of two signals that wait, the lower number is heard first.
    service.wait_for_log("\"message\":\"state\"");
    service.signal("INT");
    assert_eq!(service.told_of_change(), "STOPPING=1");
    assert_eq!(service.end(), Some(0));
    assert!(service.log().contains("applied"), "{}", service.log());
}

#[test]
fn credentials_are_taken_from_the_directory_and_never_shown() {
    let service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    assert_eq!(service.post("/pause", TOKEN).0, 202);
    assert_eq!(service.post("/resume", "another").0, 403);
    service.told_until(|text| text.contains("again"));
    let seen = format!("{}{}{}", service.log(), service.get("/status").1, service.get("/metrics").1);
    for secret in ["from-aurora", "to-polardb", TOKEN] {
        assert!(!seen.contains(secret), "{secret} is shown");
    }
    let mirror = service.state().join("checkpoint.json");
    assert!(mirror.exists(), "the state directory is used");
}

#[test]
fn a_credential_that_is_missing_is_named_and_not_started_again() {
    let mut service = Service::start(&Wanted { credentials: &[("source_password", "x")], ..Wanted::default() });
    assert_eq!(service.end(), Some(78));
    let log = service.log();
    assert!(log.contains("[target] password_file (line 9) is missing"), "{log}");
    assert!(log.contains("LoadCredential=target_password:"), "{log}");
}

#[test]
fn a_failed_task_stays_until_it_was_scraped() {
    for (number, message, code, exit) in [
        (1045, "#28000Access denied for user 'ferry'", "source-login", 78),
        (1130, "Host is not allowed to connect", "source-error", 65),
    ] {
        let mut service = Service::start(&Wanted { ends: refusing(number, message), ..Wanted::default() });
        assert_eq!(service.told(), "READY=1");
        let status = service.told_until(|text| text.contains("failed"));
        assert!(status.starts_with(&format!("STATUS=failed, {code}: ")), "{status}");
        assert!(service.is_running(), "it has gone before anybody looked");
        assert!(service.get("/readyz").1.contains(code));
        let (_, metrics) = service.get("/metrics");
        assert!(metrics.contains("polarferry_phase{phase=\"failed\"} 1\n"), "{metrics}");
        assert!(metrics.contains(&format!("polarferry_failed{{code=\"{code}\"}} 1\n")), "{metrics}");
        let since = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&format!("polarferry_failed_timestamp_seconds{{code=\"{code}\"}} ")));
        assert!(since.is_some_and(|at| at.parse::<f64>().is_ok_and(|at| at > 1e9)), "{metrics}");
        assert_eq!(service.told_of_change(), "STOPPING=1");
        assert_eq!(service.end(), Some(exit), "{}", service.log());
    }
}

#[test]
fn a_failed_task_that_nobody_looks_at_ends_when_it_is_told_to() {
    let mut service = Service::start(&Wanted { ends: refusing(1045, "#28000Access denied"), ..Wanted::default() });
    service.told_until(|text| text.contains("failed"));
    service.signal("TERM");
    assert_eq!(service.told_of_change(), "STOPPING=1");
    assert_eq!(service.end(), Some(78), "{}", service.log());
}
