//! The effective configuration as TOML, for `polarferry config`: what can be saved and loaded again,
//! with secrets left out and the place they came from in their stead.

use std::fmt::{Display, Write};
use std::path::PathBuf;

use super::Config;
use super::kinds::duration_text;
use super::secret::Origin;
use crate::conn::Endpoint;
use crate::model::selection::Glob;

pub(super) fn render(config: &Config) -> String {
    let mut page = Page(String::new());
    page.section("task");
    page.text("name", &config.task.name);
    page.plain("server_id", config.task.server_id);
    page.path("state_dir", config.task.state_dir.as_ref());

    endpoint(&mut page, "source", &config.source, &config.origins.source);
    page.plain("heartbeat", config.heartbeat);
    endpoint(&mut page, "target", &config.target, &config.origins.target);

    page.section("objects");
    page.globs("include", &config.objects.include);
    page.globs("exclude", &config.objects.exclude);

    page.section("migrate");
    page.plain("schema", config.migrate.schema());
    page.plain("copy", config.migrate.copy());
    page.plain("stream", config.migrate.stream());

    page.section("copy");
    page.plain("connections", config.copy.connections);
    page.plain("chunk_rows", config.copy.chunk_rows);
    page.text("chunk_bytes", config.copy.chunk_bytes);
    page.text("chunk_target", duration_text(config.copy.chunk_target));

    page.section("apply");
    page.plain("batch_rows", config.apply.batch_rows);
    page.text("batch_bytes", config.apply.batch_bytes);
    page.plain("batch_transactions", config.apply.batch_transactions);
    page.text("on_drift", config.apply.on_drift);
    page.plain("prefetch", config.apply.prefetch);

    page.section("retry");
    page.text("connection_window", duration_text(config.retry.connection_window));
    page.text("other_window", duration_text(config.retry.other_window));

    let limits = &config.throttle;
    page.section("throttle");
    page.plain("copy_queries_per_second", limits.copy_queries_per_second);
    page.plain("copy_rows_per_second", limits.copy_rows_per_second);
    page.plain("copy_bytes_per_second", limits.copy_bytes_per_second);
    page.plain("stream_rows_per_second", limits.stream_rows_per_second);
    page.plain("stream_bytes_per_second", limits.stream_bytes_per_second);
    page.plain("auto", limits.auto);
    page.plain("auto_threads_running", limits.auto_threads_running);
    page.plain("auto_commit_milliseconds", limits.auto_commit_milliseconds);
    page.plain("auto_lag_seconds", limits.auto_lag_seconds);

    page.section("http");
    page.text("listen", config.http.listen);
    page.secret("token", &config.origins.token);

    page.section("log");
    page.text("level", &config.log);
    page.0
}

/// The rendered text taken apart: each key, as `[section] key`, with what is said of it.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let mut section = "";
    let mut pairs = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once([' ', ':']) {
            // A secret is named by where it comes from.
            pairs.push((format!("{section} {}", key.trim_end_matches("_file")), value.to_owned()));
        }
    }
    pairs
}

fn endpoint(page: &mut Page, name: &str, endpoint: &Endpoint, password: &Origin) {
    page.section(name);
    page.text("host", &endpoint.host);
    page.plain("port", endpoint.port);
    page.text("user", &endpoint.user);
    page.secret("password", password);
    let ca = path_text(endpoint.tls.ca.as_ref());
    let (mode, ca) = (quoted(endpoint.tls.mode), quoted(ca));
    page.plain("tls", format_args!("{{ mode = {mode}, ca = {ca} }}"));
}

struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).and_then(|()| self.0.write_char('\n')).expect("a String takes any text");
    }

    fn section(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.line(format_args!("[{name}]"));
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.plain(key, quoted(value));
    }

    fn path(&mut self, key: &str, value: Option<&PathBuf>) {
        self.text(key, path_text(value));
    }

    fn globs(&mut self, key: &str, globs: &[Glob]) {
        let globs: Vec<String> = globs.iter().map(quoted).collect();
        self.plain(key, format_args!("[{}]", globs.join(", ")));
    }

    fn secret(&mut self, key: &str, origin: &Origin) {
        match origin {
            Origin::File(path) => self.path(&format!("{key}_file"), Some(path)),
            Origin::Inline => self.line(format_args!("# {key} = hidden, written in the configuration")),
            Origin::Credential(name) => self.line(format_args!("# {key}: systemd credential {name}")),
            Origin::Absent => self.line(format_args!("# {key}: none")),
        }
    }
}

fn path_text(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// As a TOML string, in the crate's own quoting.
fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}
