use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::conn::TlsMode;

const EXAMPLE: &str = include_str!("../../config/polarferry.example.toml");

/// The least that runs, with passwords by environment so that no file is needed.
const MINIMAL: &str = r#"
[task]
name = "orders"
server_id = 4210001
[source]
host = "aurora.test"
user = "ferry"
[target]
host = "polar.test"
user = "ferry"
[objects]
include = ["shop.*"]
"#;

const PASSWORDS: [(&str, &str); 2] =
    [("POLARFERRY__SOURCE__PASSWORD", "s3cret-source"), ("POLARFERRY__TARGET__PASSWORD", "s3cret-target")];

fn environment(more: &[(&str, &str)]) -> Environment {
    PASSWORDS.iter().chain(more).copied().collect()
}

fn parse(text: &str, more: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::parse("orders.toml", text, &environment(more))
}

/// `MINIMAL` with sections added; the added text may reopen no section.
fn refused(added: &str) -> String {
    let text = format!("{MINIMAL}{added}");
    parse(&text, &[]).expect_err(added).to_string()
}

fn problem(added: &str) -> String {
    let text = refused(added);
    assert!(text.contains(": 1 problem\n"), "{text}");
    text.replace("\n     remedy:", " |").lines().nth(1).unwrap_or_default().trim().to_owned()
}

#[test]
fn a_minimal_file_is_enough_and_takes_every_default() {
    let config = parse(MINIMAL, &[]).unwrap();
    assert_eq!(config.task.name.as_str(), "orders");
    assert_eq!(Some(config.task.server_id), NonZeroU32::new(4_210_001));
    assert_eq!(config.source.port, 3306);
    assert_eq!(config.source.password.now().0.expose_secret(), "s3cret-source");
    assert_eq!(config.source.tls, Default::default());
    assert_eq!(config.migrate, Migrate::default());
    assert_eq!(config.copy, copy::Settings::default());
    assert_eq!(config.apply, apply::Settings::default());
    assert_eq!(config.retry, RetrySettings::default());
    assert_eq!(config.throttle, Limits::default());
    assert_eq!(config.http.listen, http::LISTEN);
    assert!(config.http.token.is_none());
}

#[test]
fn the_example_is_the_defaults() {
    let mut minimal = parse(MINIMAL, &[]).unwrap();
    let example = parse(EXAMPLE, &[]).unwrap();
    minimal.source.host.clone_from(&example.source.host);
    minimal.target.host.clone_from(&example.target.host);
    assert_eq!(minimal.render(), example.render());
}

#[test]
fn the_example_has_every_key_with_a_sentence_and_no_other() {
    let mut section = "";
    let mut found = Vec::new();
    let mut sentence = false;
    for line in EXAMPLE.lines() {
        let key = line.trim_start_matches("# ").split_once(" = ").map(|(key, _)| key);
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some(key) = key.filter(|key| !key.contains(' ')) {
            assert!(sentence, "{section}.{key} has no sentence");
            match key {
                "tls" => found.extend(["mode", "ca"].map(|key| format!("{section}.tls.{key}"))),
                _ => found.push(format!("{section}.{key}")),
            }
        }
        sentence = line.starts_with("# ") && line.ends_with('.');
    }
    found.sort();
    assert_eq!(found, keys());
}

#[test]
fn the_rendered_configuration_loads_to_itself() {
    let added = "[copy]\nchunk_bytes = \"1536KiB\"\nchunk_target = \"1500ms\"\n[retry]\nconnection_window = \"24h\"";
    let odd = format!("{MINIMAL}exclude = [\"`a.b`.`q\\\"x`\", \"shop.tmp?\"]\n{added}");
    let once = parse(&odd, &[]).unwrap().render();
    let again = parse(&once, &[]).unwrap().render();
    assert_eq!(once, again);
    assert!(once.contains("connection_window = \"24h\""), "{once}");
    assert!(once.contains("chunk_bytes = \"1536KiB\""), "{once}");
}

#[test]
fn what_differs_is_named_by_its_key() {
    let before = parse(MINIMAL, &[]).unwrap();
    assert!(before.differences(&before).is_empty());
    let text = MINIMAL.replace("shop.*", "crm.*") + "[throttle]\ncopy_rows_per_second = 5\n[log]\nlevel = \"debug\"\n";
    let after = parse(&text, &[("POLARFERRY__SOURCE__TLS__MODE", "required")]);
    let found = before.differences(&after.unwrap());
    assert_eq!(found, ["[source] tls", "[objects] include", "[throttle] copy_rows_per_second", "[log] level"]);
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parse(
        MINIMAL,
        &[
            ("POLARFERRY__SOURCE__PORT", "3307"),
            ("POLARFERRY__SOURCE__TLS__MODE", "required"),
            ("POLARFERRY__OBJECTS__INCLUDE", "crm.*, `a,b`.t"),
            ("POLARFERRY__MIGRATE__SCHEMA", "false"),
            ("POLARFERRY__RETRY__OTHER_WINDOW", "5m"),
            ("POLARFERRY_LOG", "debug"),
            ("POLARFERRY_TOKEN", "not a key"),
        ],
    )
    .unwrap();
    assert_eq!(config.source.port, 3307);
    assert_eq!(config.source.tls.mode, TlsMode::Required);
    assert!(config.objects.includes("crm", "t") && config.objects.includes("a,b", "t"));
    assert!(!config.objects.includes("shop", "t"));
    assert!(!config.migrate.schema());
    assert_eq!(config.retry.other_window, Duration::from_secs(300));
}

#[test]
fn what_cannot_be_kept_is_refused_and_what_is_open_is_warned_of() {
    let refused = parse(MINIMAL, &[("POLARFERRY__SOURCE__TLS__MODE", "verify-ca")]).unwrap_err().to_string();
    assert!(refused.contains("one of disabled, required, verify-identity"), "{refused}");
    let warned = |listen: &str| {
        let config = parse(&format!("{MINIMAL}[http]\nlisten = \"{listen}\""), &[]).unwrap();
        config.warnings.iter().any(|warning| warning.contains("listen"))
    };
    assert!(warned("0.0.0.0:9187") && warned("[::]:9187") && !warned("127.0.0.1:9187") && !warned("[::1]:9187"));
}

#[test]
fn a_problem_of_the_environment_names_the_variable() {
    let error = parse(
        MINIMAL,
        &[
            ("POLARFERRY__SOURCE__HOTS", "x"),
            ("POLARFERRY__SOURCE__PORT", "1e3"),
            ("POLARFERRY__OBJECTS__INCLUDE[0]", "x"),
            ("POLARFERRY__TARGET__USER", "\u{FFFD}"),
        ],
    )
    .unwrap_err()
    .to_string();
    for part in [
        "(POLARFERRY__SOURCE__HOTS) is no known key",
        "did you mean `host`?",
        "[source] port (POLARFERRY__SOURCE__PORT) is no number",
        "(POLARFERRY__OBJECTS__INCLUDE[0]) names no key",
        "(POLARFERRY__TARGET__USER) is not UTF-8",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn an_unknown_key_is_told_its_neighbour() {
    assert_eq!(
        problem("[copy]\nconections = 3\n"),
        "1. [copy] conections (line 14) is no known key | did you mean `connections`?"
    );
    assert_eq!(problem("[thorttle]\n"), "1. [thorttle] (line 13) is no known section | did you mean [throttle]?");
    assert_eq!(
        problem("[copy]\nbatch_rows = 3\n"),
        "1. [copy] batch_rows (line 14) is no known key | `batch_rows` belongs under [apply]"
    );
    assert!(problem("[retry]\ncolour = 3\n").ends_with("known here: connection_window, other_window"));
}

#[test]
fn numbers_durations_and_sizes_are_never_coerced() {
    for (added, cause) in [
        ("[copy]\nconnections = \"4\"", "is text"),
        ("[copy]\nconnections = 4.0", "is a number with a fraction"),
        ("[copy]\nconnections = true", "is true or false"),
        ("[copy]\nconnections = 0", "= 0 is out of range"),
        ("[copy]\nconnections = -1", "= -1 is out of range"),
        ("[copy]\nchunk_bytes = 8388608", "is a number without a unit"),
        ("[copy]\nchunk_bytes = \"8M\"", "has no number and unit"),
        ("[copy]\nchunk_target = 700", "is a number without a unit"),
        ("[copy]\nchunk_target = \"soon\"", "has no number and unit"),
        ("[migrate]\nschema = 1", "is a whole number"),
        ("[migrate]\nschema = \"true\"", "is text"),
        ("[throttle]\ncopy_rows_per_second = -1", "= -1 is out of range"),
        ("[http]\nlisten = \"localhost\"", "= \"localhost\": invalid socket address"),
        ("[http]\nlisten = 9187", "is a whole number"),
    ] {
        let problem = problem(added);
        assert!(problem.contains(cause), "{added}: {problem}");
        assert!(problem.contains(" | "), "{added} has no remedy: {problem}");
    }
}

#[test]
fn retry_windows_stay_in_their_ranges_and_order() {
    for (added, cause) in [
        ("[retry]\nconnection_window = \"9m\"", "out of range | write connection_window = \"12h\"; from \"10m\" to \"24h\""),
        ("[retry]\nconnection_window = \"25h\"", "out of range"),
        ("[retry]\nother_window = \"59s\"", "out of range"),
        ("[retry]\nconnection_window = \"10m\"", "other_window (line 13) = \"10m\" is not less than connection_window"),
    ] {
        let problem = problem(added);
        assert!(problem.contains(cause), "{added}: {problem}");
    }
}

#[test]
fn parts_of_a_migration_that_cannot_end_well_are_refused() {
    assert!(problem("[migrate]\nschema = false\ncopy = false\nstream = false").contains("nothing is left to do"));
    assert!(problem("[migrate]\ncopy = false").contains("rows that nobody copied"));
    assert!(problem("[migrate]\nschema = false\ncopy = false").contains("begins at the present"));
    parse(&format!("{MINIMAL}[migrate]\ncopy = false\nstream = false"), &[]).unwrap();
}

#[test]
fn one_cluster_cannot_be_both_ends() {
    let text = MINIMAL.replace("polar.test", "Aurora.test");
    let error = parse(&text, &[]).unwrap_err().to_string();
    assert!(error.contains("[target] host (line 9) is the source's own host and port"), "{error}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r#"
[task]
name = "two words"
server_id = 0
[source]
hots = "aurora.test"
user = "ferry"
password = "s3cret-both"
password_file = "/nonexistent/password"
[target]
host = "polar.test:3306"
user = 7
tls = { mode = "strict", ca = "/nonexistent/ca.pem" }
[objects]
include = ["shop", "mysql.*", 3]
[retry]
connection_window = "2d"
other_window = "tomorrow"
"#;
    let error = Config::parse("orders.toml", text, &Environment::default()).unwrap_err();
    let causes = [
        ("task.name", "is no task name"),
        ("task.server_id", "= 0 is out of range"),
        ("source.host", "is missing"),
        ("source.password", "together with password_file"),
        ("target.host", "is no host name"),
        ("target.user", "is a whole number"),
        ("target.password_file", "is missing"),
        ("target.tls.mode", "is no TLS mode"),
        ("target.tls.ca", "cannot be read"),
        ("objects.include", "has no table part"),
        ("objects.include", "system schema mysql"),
        ("objects.include", "is a whole number"),
        ("retry.connection_window", "\"2d\" is out of range"),
        ("retry.other_window", "\"tomorrow\" has no number"),
        ("source.hots", "is no known key"),
    ];
    assert_eq!(error.problems.len(), causes.len(), "{error}");
    for (problem, (key, cause)) in error.problems.iter().zip(causes) {
        assert_eq!(problem.key, key, "{error}");
        assert!(problem.cause.contains(cause), "{cause}\n{error}");
        assert!(!problem.remedy.is_empty(), "{key}");
    }
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn no_secret_is_in_debug_render_or_messages() {
    let config = parse(MINIMAL, &[]).unwrap();
    let environment = environment(&[]);
    for text in [format!("{config:?}"), config.render(), config.warnings.join("\n"), format!("{environment:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(config.render().contains("# password = hidden"));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);

    // What the operator mistypes around a secret may not bring it to light either.
    for broken in [
        "password = \"s3cret",
        "password = s3cret",
        "password = 'a' s3cret",
        "pasword = \"s3cret\"",
        "password_file = \"s3cret\"",
        "password = [\"s3cret\"]",
        "password = { s3cret = 1, x = \"s3cret\" }",
    ] {
        let text = MINIMAL.replace("host = \"aurora.test\"", broken);
        let without = Environment::default();
        let error = Config::parse("orders.toml", &text, &without).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_told_line_by_line() {
    let error = parse("[task\nname = orders\n", &[]).unwrap_err();
    assert!(error.problems.iter().all(|p| matches!(p.place, Place::Line(_))), "{error}");
    assert!(error.to_string().contains("the file (line 1) is not TOML"), "{error}");
}

#[test]
fn passwords_come_from_files_and_lose_one_newline() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let text = MINIMAL.replace("host = \"aurora.test\"", &format!("host = \"a\"\npassword_file = {file:?}"));
    let load = || {
        let target = [PASSWORDS[1]].into_iter().collect();
        Config::parse("orders.toml", &text, &target)
    };
    for (bytes, password) in [("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n"), ("pw", "pw")] {
        fs::write(&file, bytes).unwrap();
        let config = load().unwrap();
        assert_eq!(config.source.password.now().0.expose_secret(), password);
        assert!(config.render().contains(&format!("password_file = {file:?}")));
    }
    fs::write(&file, "\n").unwrap();
    assert!(load().unwrap_err().to_string().contains("is empty"));
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(load().unwrap_err().to_string().contains("is not UTF-8"));
    fs::remove_file(&file).unwrap();
    assert!(load().unwrap_err().to_string().contains("remedy: create the file, or correct the path"));
}

#[test]
fn systemd_credentials_and_state_directory_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    for name in ["source_password", "target_password", "http_token"] {
        fs::write(directory.path().join(name), format!("{name}-value\n")).unwrap();
    }
    let systemd = [("CREDENTIALS_DIRECTORY", path), ("STATE_DIRECTORY", "/var/lib/polarferry:/other")];
    let config = Config::parse("orders.toml", MINIMAL, &systemd.into_iter().collect()).unwrap();
    assert_eq!(config.source.password.now().0.expose_secret(), "source_password-value");
    assert_eq!(config.target.password.now().0.expose_secret(), "target_password-value");
    assert_eq!(config.http.token.as_ref().unwrap().expose_secret(), "http_token-value");
    assert_eq!(config.task.state_dir.as_deref(), Some(Path::new("/var/lib/polarferry")));
    assert!(config.warnings.is_empty());

    fs::write(directory.path().join("http_token"), "two words").unwrap();
    let error = Config::parse("orders.toml", MINIMAL, &systemd.into_iter().collect()).unwrap_err();
    assert!(error.to_string().contains("no HTTP header can carry"), "{error}");
}

#[test]
fn an_absent_file_is_told_with_its_name() {
    let error = Config::load(Path::new("/nonexistent/orders.toml"), &Environment::default()).unwrap_err();
    assert!(error.to_string().starts_with("configuration /nonexistent/orders.toml: 1 problem"), "{error}");
}
