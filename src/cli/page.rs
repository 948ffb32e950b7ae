//! A status in 80 columns, and in one line. Pure.
//!
//! Reads leniently: the daemon may be older or newer than this program, so what is missing or of another
//! type is shown as unknown, and what is new is left out. Nothing the daemon says can move the cursor.

use std::fmt::Write;

use serde_json::Value;

use super::text::{WIDTH, bar, plain, short, span, squeeze, thousands, wrap};

/// Lines of a page that nobody redraws; `--json` has all tables.
pub(super) const LINES: usize = 42;

/// At least so many tables are listed, whatever the height.
const FEW: usize = 3;

/// The page; as many tables are listed as `lines` have room for.
pub(super) fn full(status: &Value, lines: usize) -> String {
    let mut page = String::new();
    let mut line = |name: &str, text: &str| {
        writeln!(page, "{}", wrap(&format!("{name:<9}"), text)).expect("a String takes any text");
    };
    line("task", text(status, "/task").unwrap_or("unknown"));
    let paused = if status.pointer("/paused") == Some(&Value::Bool(true)) { ", paused by an operator" } else { "" };
    line("phase", &format!("{}{paused}", text(status, "/phase").unwrap_or("unknown")));
    if let Some(retry) = status.pointer("/retries/last").filter(|retry| retry.is_object()) {
        line("retrying", &retrying(status, retry));
    }
    line("source", &position(status, "/source/position"));
    line("applied", &position(status, "/applied"));
    line("lag", &lag(status));
    // While an end is tried again, the number is one of before.
    let is_retrying = status.pointer("/retries/last").is_some_and(Value::is_object);
    let backlog = if is_retrying { "unknown".to_owned() } else { counted(status, "/backlog_transactions", "transactions") };
    line("backlog", &backlog);
    if status.get("stream").is_some_and(Value::is_object) {
        let transactions = counted(status, "/stream/transactions_per_second", "transactions/s");
        let rows = counted(status, "/stream/rows_per_second", "rows/s");
        line("stream", &format!("{transactions}, {rows}"));
        if let Some(hot) = hottest(status) {
            line("hottest", &hot);
        }
    }
    if text(status, "/phase") == Some("schema") && number(status, "/schema/tables").is_some_and(|tables| tables > 0.0) {
        let tables = counted(status, "/schema/tables", "tables");
        line("schema", &format!("{} of {tables} created", counted(status, "/schema/created", "").trim_end()));
    } else if status.get("copy").is_some_and(Value::is_object) {
        let rows = counted(status, "/copy/rows", "rows");
        let pace = counted(status, "/copy/rows_per_second", "rows/s");
        let left = number(status, "/copy/eta_seconds");
        let left = left.map_or_else(String::new, |left| format!(", {} left", span(left)));
        line("copy", &format!("{rows}, {pace}{left}"));
    }
    if let Some(slowed) = slowed(status) {
        line("slowed", &slowed);
    }
    let others = status.pointer("/neighbours").and_then(Value::as_array).filter(|others| !others.is_empty());
    if let Some(others) = others {
        let names: Vec<String> = others.iter().map(scalar).collect();
        line("beside", &format!("{} on the same target", names.join(", ")));
    }
    if let Some(verdict) = text(status, "/cutover/verdict") {
        line("cutover", verdict);
    }
    let mut failure = String::new();
    error(status, &mut failure);
    // Two lines before the tables, one behind them.
    let used = page.lines().count() + failure.lines().count() + 3;
    tables(status, lines.saturating_sub(used).max(FEW), &mut page);
    page + &failure
}

/// `phase=stream lag=2.4s backlog=14 …`: one line for a log or a pipe.
pub(super) fn line(status: &Value) -> String {
    let count = |at| number(status, at).map_or_else(|| "unknown".to_owned(), |n| (n as u64).to_string());
    let mut line = format!(
        "task={} phase={} lag={} backlog={}",
        plain(text(status, "/task").unwrap_or("unknown")),
        plain(text(status, "/phase").unwrap_or("unknown")),
        number(status, "/lag_seconds").map_or_else(|| "unknown".to_owned(), |lag| format!("{lag:.1}s")),
        count("/backlog_transactions"),
    );
    for (name, at) in [
        ("transactions_per_second", "/stream/transactions_per_second"),
        ("rows_per_second", "/stream/rows_per_second"),
        ("copied_rows", "/copy/rows"),
        ("copied_rows_per_second", "/copy/rows_per_second"),
    ] {
        if number(status, at).is_some() {
            write!(line, " {name}={}", count(at)).expect("a String takes any text");
        }
    }
    if let Some(side) = text(status, "/retries/last/side") {
        write!(line, " retrying={}", plain(side)).expect("a String takes any text");
    }
    if status.pointer("/paused") == Some(&Value::Bool(true)) {
        line += " paused";
    }
    if let Some(code) = status.pointer("/error/code") {
        write!(line, " error={}", plain(&scalar(code))).expect("a String takes any text");
    }
    line + "\n"
}

/// Why the copy is not at full pace, when it is the daemon's own doing.
fn slowed(status: &Value) -> Option<String> {
    let share = number(status, "/copy_opening/share").filter(|share| *share < 1.0)?;
    let why = match text(status, "/copy_opening/reason") {
        Some("threads") => "the source runs many statements",
        Some("commit") => "the target takes long to commit",
        Some("lag") => "the stream is behind",
        Some(_) | None => "unknown",
    };
    Some(format!("the copy works {:.0}% of the time: {why}", share * 100.0))
}

/// Which end is tried again, why, and how long yet. The daemon's clock is the one in its own report: ours may be another.
fn retrying(status: &Value, retry: &Value) -> String {
    let field = |name: &str| text(retry, name).unwrap_or("unknown");
    let left = number(retry, "/window_ends_at").zip(number(status, "/updated_at")).map(|(end, now)| span((end - now).max(0.0)));
    let left = left.map_or_else(String::new, |left| format!("; gives up in {left}"));
    format!("the {}: {}{left}", field("/side"), field("/cause"))
}

/// The three tables that change most.
fn hottest(status: &Value) -> Option<String> {
    let tables = status.pointer("/stream/hottest")?.as_array()?.iter().take(3);
    let one = |table: &Value| Some(format!("{} {}", text(table, "/name")?, counted(table, "/changes_per_second", "changes/s")));
    let shown: Vec<String> = tables.filter_map(one).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn text<'a>(status: &'a Value, at: &str) -> Option<&'a str> {
    status.pointer(at)?.as_str().filter(|text| !text.is_empty())
}

fn number(status: &Value, at: &str) -> Option<f64> {
    status.pointer(at)?.as_f64().filter(|number| *number >= 0.0)
}

/// Text without its quotes, anything else as JSON.
fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn counted(status: &Value, at: &str, noun: &str) -> String {
    match number(status, at) {
        Some(number) => format!("{} {noun}", thousands(number as u64)),
        None => format!("unknown {noun}"),
    }
}

fn lag(status: &Value) -> String {
    number(status, "/lag_seconds").map_or_else(|| "unknown".to_owned(), span)
}

/// `file:pos`, then as much of the GTID set as fits beside it.
fn position(status: &Value, at: &str) -> String {
    // A place that is not known has an empty name.
    let part =
        |name: &str| status.pointer(&format!("{at}/{name}")).filter(|value| !value.is_null() && value.as_str() != Some(""));
    let mut words = Vec::new();
    if let (Some(file), Some(pos)) = (part("file"), part("pos")) {
        words.push(squeeze(&format!("{}:{}", scalar(file), scalar(pos)), 40));
    }
    if let Some(set) = part("gtid_set").map(scalar).filter(|set| !set.is_empty()) {
        let used = words.first().map_or(0, |word| word.chars().count() + 1);
        // Sets are separated by commas or newlines; a space would let the line wrap.
        words.push(squeeze(&set.replace(char::is_whitespace, ""), WIDTH - 9 - used));
    }
    if words.is_empty() { "unknown".to_owned() } else { words.join(" ") }
}

/// The states in which a table's rows are not all there yet; in any other it is done with copying.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Stand {
    Failed,
    Copying,
    Waiting,
    Done,
}

fn stand(table: &Value) -> Stand {
    match table.get("state").and_then(Value::as_str) {
        Some("failed" | "error" | "drift") => Stand::Failed,
        Some("copying" | "copy") => Stand::Copying,
        Some("pending" | "waiting" | "queued" | "new") | None => Stand::Waiting,
        Some(_) => Stand::Done,
    }
}

/// What moves comes first; what does not fit is counted.
fn tables(status: &Value, most: usize, page: &mut String) {
    let Some(tables) = status.get("tables").and_then(Value::as_array).filter(|tables| !tables.is_empty()) else {
        return;
    };
    let mut tables: Vec<&Value> = tables.iter().collect();
    tables.sort_by_key(|table| stand(table));
    let done = tables.iter().filter(|table| stand(table) == Stand::Done).count();
    writeln!(page, "\n{} of {} tables copied", thousands(done as u64), thousands(tables.len() as u64))
        .expect("a String takes any text");
    for table in tables.iter().take(most) {
        writeln!(page, "{}", row(table)).expect("a String takes any text");
    }
    if tables.len() > most {
        let more = thousands((tables.len() - most) as u64);
        writeln!(page, "  and {more} more: status --json").expect("a String takes any text");
    }
}

fn row(table: &Value) -> String {
    let copied = number(table, "/rows_copied");
    let estimated = number(table, "/rows_estimated");
    let ratio = match (stand(table), copied, estimated) {
        (Stand::Done, _, _) => Some(1.0),
        // The estimate may be far too low: all is copied when the state says so, not when the count does.
        (_, Some(copied), Some(estimated)) if estimated > 0.0 => Some((copied / estimated).min(0.99)),
        _ => None,
    };
    let percent = ratio.map_or_else(|| "?".to_owned(), |ratio| format!("{}%", (ratio * 100.0) as u64));
    let amount = |number: Option<f64>| number.map_or_else(|| "?".to_owned(), |n| short(n as u64));
    let rows = match stand(table) {
        Stand::Done => format!("{} rows", amount(copied)),
        _ => format!("{} of ~{}", amount(copied), amount(estimated)),
    };
    format!(
        "  {:<26} {:<9} {} {percent:>4} {rows:>15}",
        squeeze(text(table, "/name").unwrap_or("?"), 26),
        squeeze(text(table, "/state").unwrap_or("?"), 9),
        bar(ratio.unwrap_or(0.0), 18),
    )
}

fn error(status: &Value, page: &mut String) {
    let Some(error) = status.get("error").filter(|error| !error.is_null()) else {
        return;
    };
    let field = |name: &str| error.get(name).filter(|value| !value.is_null()).map(scalar);
    let cause = [field("code"), field("message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    // An error of another shape is still shown, as it came.
    let cause = if cause.is_empty() { scalar(error) } else { cause };
    writeln!(page, "\n{}", wrap("error    ", &cause)).expect("a String takes any text");
    if let Some(remedy) = field("remedy") {
        writeln!(page, "{}", wrap("remedy   ", &remedy)).expect("a String takes any text");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        json!({
            "task": "orders",
            "phase": "copy",
            "source": { "position": {
                "gtid_set": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-120934,\n4f22fa47-71ca-11e1-9e33-c80aa9429562:1-77",
                "file": "mysql-bin-changelog.000123", "pos": 45_678_901 } },
            "applied": { "gtid_set": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-120920", "file": null, "pos": null },
            "lag_seconds": 2.44,
            "backlog_transactions": 14,
            "stream": { "transactions_per_second": 1204.4, "rows_per_second": 9811, "hottest": [
                { "name": "shop.orders", "changes_per_second": 9000.4 },
                { "name": "shop.order_lines", "changes_per_second": 700 }
            ] },
            "copy": { "rows": 12_345_678, "rows_per_second": 84_000, "eta_seconds": 11_530 },
            "tables": [
                { "name": "shop.customers", "state": "done", "rows_copied": 812_345, "rows_estimated": 640_000 },
                { "name": "shop.orders", "state": "copying", "rows_copied": 6_100_000, "rows_estimated": 10_000_000 },
                { "name": "shop.order_lines_with_a_very_long_name_2024", "state": "copying", "rows_copied": 5_433_333, "rows_estimated": 5_000_000 },
                { "name": "shop.audit", "state": "pending", "rows_copied": 0, "rows_estimated": 98_000_000 }
            ],
            "error": null
        })
    }

    fn fits(page: &str) {
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn a_status_fits_the_terminal() {
        let page = full(&status(), LINES);
        fits(&page);
        for part in [
            "phase    copy\n",
            "source   mysql-bin-changelog.000123:45678901 3e11",
            "applied  3e11fa47-71ca-11e1-9e33-c80aa9429562:1-120920\n",
            "lag      2.4s\n",
            "backlog  14 transactions\n",
            "stream   1,204 transactions/s, 9,811 rows/s\n",
            "hottest  shop.orders 9,000 changes/s, shop.order_lines 700 changes/s\n",
            "copy     12,345,678 rows, 84,000 rows/s, 3h 12m left\n",
            "1 of 4 tables copied\n  shop.orders                copying   [##########........]  61%  6.1M of ~10.0M\n",
            "  shop.customers             done      [##################] 100%       812K rows\n",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        // More rows than estimated are not all rows.
        assert!(page.contains(" 99%   5.4M of ~5.0M"), "{page}");
    }

    #[test]
    fn an_error_is_shown_with_its_remedy() {
        let mut status = status();
        status["phase"] = json!("failed");
        status["error"] =
            json!({ "code": 1236, "message": "the binlog at our position is gone\x1b[2J ".repeat(4), "remedy": "copy again" });
        let page = full(&status, LINES);
        fits(&page);
        assert!(page.contains("error    1236: the binlog at our position is gone [2J the"), "{page}");
        assert!(page.ends_with("remedy   copy again\n"), "{page}");
        assert!(!page.contains('\x1b'));
        assert!(line(&status).ends_with(" error=1236\n"));
    }

    #[test]
    fn a_retry_and_a_pause_are_shown() {
        let mut status = status();
        status["updated_at"] = json!(1000.0);
        status["paused"] = json!(true);
        status["retries"] = json!({ "last": { "side": "target", "cause": "refused", "window_ends_at": 4600.0 } });
        let page = full(&status, LINES);
        fits(&page);
        for part in
            ["phase    copy, paused by an operator\n", "retrying the target: refused; gives up in 1h 0m\n", "backlog  unknown\n"]
        {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(line(&status).ends_with(" retrying=target paused\n"), "{}", line(&status));
    }

    #[test]
    fn a_schema_that_is_created_is_counted() {
        let mut status = status();
        status["phase"] = json!("schema");
        status["schema"] = json!({ "tables": 5000, "created": 1207 });
        let page = full(&status, LINES);
        assert!(page.contains("schema   1,207 of 5,000 tables created\n"), "{page}");
    }

    #[test]
    fn a_copy_that_makes_way_says_why() {
        let mut status = status();
        assert!(!full(&status, LINES).contains("slowed"));
        status["copy_opening"] = json!({ "share": 0.125, "reason": "threads" });
        let page = full(&status, LINES);
        assert!(page.contains("slowed   the copy works 12% of the time: the source runs many statements\n"), "{page}");
    }

    #[test]
    fn what_is_missing_is_unknown_and_never_zero() {
        let nowhere = json!({ "position": { "file": "", "pos": 0, "gtid_set": "" } });
        let page = full(&json!({ "lag_seconds": null, "tables": [{}], "error": "odd", "source": nowhere }), LINES);
        assert!(page.contains("source   unknown\napplied  unknown\n"), "{page}");
        fits(&page);
        for part in ["phase    unknown", "lag      unknown", "backlog  unknown transactions", "? of ~?", "error    odd"] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(line(&json!({})), "task=unknown phase=unknown lag=unknown backlog=unknown\n");
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(
            line(&status()),
            "task=orders phase=copy lag=2.4s backlog=14 transactions_per_second=1204 rows_per_second=9811 \
             copied_rows=12345678 copied_rows_per_second=84000\n"
        );
    }

    #[test]
    fn many_tables_are_counted() {
        let table = json!({ "name": "a.b", "state": "done" });
        let page = full(&json!({ "tables": vec![table; 100] }), LINES);
        assert!(page.contains("100 of 100 tables copied"), "{page}");
        assert!(page.ends_with(" more: status --json\n"), "{page}");
    }

    #[test]
    fn a_page_is_no_longer_than_the_terminal_is_high() {
        let table = json!({ "name": "a.b", "state": "copying" });
        let mut status = status();
        status["tables"] = json!(vec![table; 2000]);
        status["error"] = json!({ "code": "drift", "message": "a row that is not there", "remedy": "copy again" });
        for lines in [24, 50] {
            let page = full(&status, lines);
            assert_eq!(page.lines().count(), lines, "{page}");
            assert!(page.contains(" more: status --json\n") && page.contains("0 of 2,000 tables copied"), "{page}");
        }
        assert!(full(&status, 1).contains("a.b"));
    }
}
