//! What an application does to its tables, drawn by dice: transactions of statements that pick from the columns' values. They do
//! not look at what is there, so the same dice always say the same; what the server refuses is only counted.

use super::dice::Dice;
use super::kinds::Class;
use super::limits;
use super::table::Table;
use crate::lab::Version;

/// One kind of work on one or more tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Insert,
    InsertMany,
    InsertSelect,
    Upsert,
    Replace,
    Update,
    UpdateMany,
    Nulls,
    Compute,
    Nothing,
    Rotate,
    Delete,
    DeleteMany,
    Joined,
}

/// How often each is drawn, in relation to the others.
const WEIGHTS: [(Work, usize); 14] = [
    (Work::Insert, 14),
    (Work::InsertMany, 5),
    (Work::InsertSelect, 4),
    (Work::Upsert, 8),
    (Work::Replace, 6),
    (Work::Update, 14),
    (Work::UpdateMany, 5),
    (Work::Nulls, 4),
    (Work::Compute, 10),
    (Work::Nothing, 2),
    (Work::Rotate, 12),
    (Work::Delete, 8),
    (Work::DeleteMany, 4),
    (Work::Joined, 3),
];

/// The settings that a session begins with, and changes now and then.
pub fn session(dice: &mut Dice, version: Version) -> Vec<String> {
    let modes = [
        "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
        "STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES",
        "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES",
        "NO_AUTO_VALUE_ON_ZERO",
        "",
    ];
    let zone = dice.pick(&["+00:00", "+05:30", "-11:00", "+13:00"]);
    let mut settings = vec![format!("SET sql_mode = '{}', time_zone = '{zone}'", dice.pick(&modes))];
    if dice.chance(20) {
        settings.push(format!("SET binlog_rows_query_log_events = {}", dice.below(2)));
    }
    if version == Version::V97 && dice.chance(30) {
        settings.push(format!("SET binlog_transaction_compression = {}", dice.below(2)));
    }
    settings
}

/// One transaction, from its begin to its end; `number` is unique on the server.
pub fn transaction(dice: &mut Dice, version: Version, tables: &[Table], number: &str) -> Vec<String> {
    let mut statements = if dice.chance(2) { session(dice, version) } else { Vec::new() };
    if limits::DDL && dice.chance(1) {
        statements.push(definition(dice, tables));
        return statements;
    }
    if dice.chance(15) {
        // Each statement commits itself.
        statements.extend(work(dice, tables));
        return statements;
    }
    let branch = (limits::XA && dice.chance(5)).then(|| format!("XA {{}} 'x{number}'"));
    let xa = |verb: &str| branch.as_ref().map(|branch| branch.replace("{}", verb));
    statements.push(xa("START").unwrap_or_else(|| "START TRANSACTION".to_owned()));
    for _ in 0..*dice.pick(&[1, 1, 2, 3, 4, 6]) {
        statements.extend(work(dice, tables));
        if branch.is_none() && dice.chance(10) {
            statements.push("SAVEPOINT s".to_owned());
            statements.extend(work(dice, tables));
            statements.push(dice.pick(&["ROLLBACK TO s", "RELEASE SAVEPOINT s", "ROLLBACK TO SAVEPOINT s"]).to_string());
        }
    }
    let undone = dice.chance(8);
    match xa("END") {
        None => statements.push(if undone { "ROLLBACK" } else { "COMMIT" }.to_owned()),
        Some(end) => {
            statements.push(end);
            if !undone && dice.chance(30) {
                statements.extend(xa("COMMIT").map(|commit| commit + " ONE PHASE"));
            } else {
                statements.extend(xa("PREPARE"));
                statements.extend(xa(if undone { "ROLLBACK" } else { "COMMIT" }));
            }
        }
    }
    statements
}

fn work(dice: &mut Dice, tables: &[Table]) -> Vec<String> {
    let table = dice.pick(tables);
    let whole: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut drawn = dice.below(whole);
    let mut work = Work::Insert;
    for (next, weight) in WEIGHTS {
        if drawn < weight {
            work = next;
            break;
        }
        drawn -= weight;
    }
    match work {
        Work::Insert => vec![insert(dice, table, 1, "INSERT")],
        Work::InsertMany => {
            let rows = dice.between(2..=12) as usize;
            let verb = *dice.pick(&["INSERT", "INSERT IGNORE"]);
            vec![insert(dice, table, rows, verb)]
        }
        Work::InsertSelect => vec![insert_select(dice, table)],
        Work::Upsert => vec![upsert(dice, table)],
        Work::Replace => {
            let rows = *dice.pick(&[1, 1, 3]);
            vec![insert(dice, table, rows, "REPLACE")]
        }
        Work::Update => vec![update(dice, table)],
        Work::UpdateMany => {
            let plain = table.plain();
            let sets = if plain.is_empty() { nothing(dice, table) } else { assignments(dice, table, &plain) };
            vec![format!("UPDATE {} SET {sets} WHERE {}", table.name, many(dice, table))]
        }
        Work::Nulls => vec![nulls(dice, table)],
        Work::Compute => vec![compute(dice, table)],
        Work::Nothing => vec![format!("UPDATE {} SET {} WHERE {}", table.name, nothing(dice, table), many(dice, table))],
        Work::Rotate => rotate(dice, table),
        Work::Delete => vec![format!("DELETE FROM {} WHERE {}", table.name, one(dice, table))],
        Work::DeleteMany => vec![format!("DELETE FROM {} WHERE {}", table.name, many(dice, table))],
        Work::Joined => {
            let other = dice.pick(tables);
            vec![joined(dice, table, other)]
        }
    }
}

/// A value for a column: one of its own, NULL, or its default.
fn value(dice: &mut Dice, table: &Table, at: usize) -> String {
    let column = &table.columns[at];
    if column.nullable && dice.chance(15) {
        return "NULL".to_owned();
    }
    if column.defaulted && dice.chance(4) && !(table.counts && table.key.contains(&at)) {
        return "DEFAULT".to_owned();
    }
    dice.pick(&column.kind.domain).clone()
}

/// A row's columns: all that are written, but for some that find their values themselves.
fn listed(dice: &mut Dice, table: &Table) -> Vec<usize> {
    let counting = |at: &usize| table.counts && table.key.contains(at);
    let mut listed = Vec::new();
    for at in table.written() {
        let percent = if counting(&at) { 40 } else { 8 };
        if !(table.columns[at].defaulted && dice.chance(percent)) {
            listed.push(at);
        }
    }
    if listed.is_empty() { table.written() } else { listed }
}

fn names(table: &Table, columns: &[usize]) -> String {
    columns.iter().map(|at| table.columns[*at].name.as_str()).collect::<Vec<_>>().join(", ")
}

pub fn insert(dice: &mut Dice, table: &Table, rows: usize, verb: &str) -> String {
    let columns = listed(dice, table);
    let mut tuples = Vec::new();
    for _ in 0..rows {
        let values: Vec<String> = columns.iter().map(|at| value(dice, table, *at)).collect();
        tuples.push(format!("({})", values.join(", ")));
    }
    format!("{verb} INTO {} ({}) VALUES {}", table.name, names(table, &columns), tuples.join(", "))
}

/// Rows that are there, with some other values: a new key, for most.
fn insert_select(dice: &mut Dice, table: &Table) -> String {
    let columns = table.written();
    let fresh: Vec<usize> = table.movable().concat();
    let mut values = Vec::new();
    for at in &columns {
        let name = table.columns[*at].name.clone();
        let counting = table.counts && table.key.contains(at);
        values.push(match table.columns[*at].kind.class {
            _ if counting => "NULL".to_owned(),
            Class::Integer if fresh.contains(at) => format!("{name} + {}", dice.between(1..=50)),
            _ if fresh.contains(at) && dice.chance(70) => dice.pick(&table.columns[*at].kind.domain).clone(),
            _ => name,
        });
    }
    let verb = *dice.pick(&["INSERT", "INSERT IGNORE", "REPLACE"]);
    let condition = many(dice, table);
    format!(
        "{verb} INTO {} ({}) SELECT {} FROM {} WHERE {condition}",
        table.name,
        names(table, &columns),
        values.join(", "),
        table.name
    )
}

fn upsert(dice: &mut Dice, table: &Table) -> String {
    let rows = *dice.pick(&[1, 1, 2, 5]);
    let columns = if dice.chance(80) { table.plain() } else { table.written() };
    let columns = if columns.is_empty() { table.written() } else { columns };
    let sets = if dice.chance(50) {
        let sets: Vec<String> =
            dice.some(&columns).iter().map(|at| format!("{0} = VALUES({0})", table.columns[*at].name)).collect();
        sets.join(", ")
    } else {
        assignments(dice, table, &columns)
    };
    format!("{} ON DUPLICATE KEY UPDATE {sets}", insert(dice, table, rows, "INSERT"))
}

fn assignments(dice: &mut Dice, table: &Table, columns: &[usize]) -> String {
    let some = dice.some(columns);
    let sets: Vec<String> = some.iter().map(|at| format!("{} = {}", table.columns[*at].name, value(dice, table, *at))).collect();
    sets.join(", ")
}

fn nothing(dice: &mut Dice, table: &Table) -> String {
    let name = &table.columns[*dice.pick(&table.written())].name;
    format!("{name} = {name}")
}

/// Any columns, the key's among them.
fn update(dice: &mut Dice, table: &Table) -> String {
    let columns = if dice.chance(70) { table.plain() } else { table.written() };
    let columns = if columns.is_empty() { table.written() } else { columns };
    format!("UPDATE {} SET {} WHERE {}", table.name, assignments(dice, table, &columns), one(dice, table))
}

fn nulls(dice: &mut Dice, table: &Table) -> String {
    let nullable: Vec<usize> = table.written().into_iter().filter(|at| table.columns[*at].nullable).collect();
    if nullable.is_empty() {
        return update(dice, table);
    }
    let at = *dice.pick(&nullable);
    let name = &table.columns[at].name;
    if dice.chance(50) {
        return format!("UPDATE {} SET {name} = NULL WHERE {}", table.name, many(dice, table));
    }
    let found = dice.pick(&table.columns[at].kind.domain).clone();
    format!("UPDATE {} SET {name} = {found} WHERE {name} IS NULL LIMIT {}", table.name, dice.between(1..=5))
}

/// A new value from the old one: also of keys, in an order in which they do not meet.
fn compute(dice: &mut Dice, table: &Table) -> String {
    let able: Vec<usize> = table
        .written()
        .into_iter()
        .filter(|at| matches!(table.columns[*at].kind.class, Class::Integer | Class::Text | Class::Json | Class::Temporal))
        .collect();
    if able.is_empty() {
        return update(dice, table);
    }
    let at = *dice.pick(&able);
    let column = &table.columns[at];
    let name = &column.name;
    let expression = match column.kind.class {
        Class::Integer => dice.pick(&["{} + 1", "{} + 1", "{} - 1", "-{}", "{} * 2"]).replace("{}", name),
        Class::Text => {
            let ways = ["UPPER({})", "LOWER({})", "CONCAT({}, ' ')", "TRIM({})", "REVERSE({})", "CONCAT({}, 'z')", "LEFT({}, 2)"];
            dice.pick(&ways).replace("{}", name)
        }
        Class::Temporal => dice.pick(&["{} + INTERVAL 1 DAY", "{} - INTERVAL 1 SECOND"]).replace("{}", name),
        Class::Json | Class::Enum | Class::Other => document(dice, name),
    };
    let order = if expression.contains("+ 1") { " DESC" } else { "" };
    let limit = dice.between(1..=20);
    if column.kind.indexable && dice.chance(60) {
        return format!(
            "UPDATE {} SET {name} = {expression} WHERE {} ORDER BY {name}{order} LIMIT {limit}",
            table.name,
            range(dice, table, at)
        );
    }
    let condition = if dice.chance(50) { one(dice, table) } else { many(dice, table) };
    format!("UPDATE {} SET {name} = {expression} WHERE {condition}", table.name)
}

fn document(dice: &mut Dice, name: &str) -> String {
    let mut values = vec!["'text'", "5", "-70000", "TRUE", "NULL", "CAST('{\"z\": [1, 2.5]}' AS JSON)", "JSON_ARRAY()", "'ü😀'"];
    if limits::JSON_SQL_VALUES {
        values.extend(["1.50", "CAST(3 AS UNSIGNED)", "CAST('2024-02-29' AS DATE)"]);
    }
    let value = *dice.pick(&values);
    match dice.below(5) {
        0 => format!("JSON_SET({name}, '$.a', {value})"),
        1 => format!("JSON_REPLACE({name}, '$.b', {value})"),
        2 => format!("JSON_REMOVE({name}, '$.a')"),
        3 => format!("JSON_ARRAY_APPEND({name}, '$', {value})"),
        _ => format!("JSON_MERGE_PRESERVE({name}, '{{\"m\": 1}}')"),
    }
}

/// Rows exchange the values of a key, in a ring or in a chain, by way of one that is free.
fn rotate(dice: &mut Dice, table: &Table) -> Vec<String> {
    let movable = table.movable();
    if movable.is_empty() {
        return vec![update(dice, table)];
    }
    let key = *dice.pick(&movable);
    let length = *dice.pick(&[2, 2, 3, 5]);
    let values: Vec<Vec<String>> =
        (0..=length).map(|_| key.iter().map(|at| dice.pick(&table.columns[*at].kind.domain).clone()).collect()).collect();
    let spell = |values: &[String], between: &str| {
        let parts: Vec<String> =
            key.iter().zip(values).map(|(at, value)| format!("{} = {value}", table.columns[*at].name)).collect();
        parts.join(between)
    };
    let moved =
        |from: &[String], to: &[String]| format!("UPDATE {} SET {} WHERE {}", table.name, spell(to, ", "), spell(from, " AND "));
    let free = &values[length];
    let mut statements = vec![format!("DELETE FROM {} WHERE {}", table.name, spell(free, " AND "))];
    for at in 0..length {
        let to = if at == 0 { free } else { &values[at - 1] };
        statements.push(moved(&values[at], to));
    }
    if dice.chance(60) {
        // The first one, which waits in the free place, closes the ring.
        statements.push(moved(free, &values[length - 1]));
    }
    statements
}

/// At most one row, or one value's.
fn one(dice: &mut Dice, table: &Table) -> String {
    if table.key.is_empty() {
        let at = *dice.pick(&table.written());
        let found = dice.pick(&table.columns[at].kind.domain).clone();
        return format!("{} <=> {found} LIMIT {}", table.columns[at].name, dice.between(1..=3));
    }
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|at| format!("{} = {}", table.columns[*at].name, dice.pick(&table.columns[*at].kind.domain)))
        .collect();
    parts.join(" AND ")
}

fn range(dice: &mut Dice, table: &Table, at: usize) -> String {
    let domain = &table.columns[at].kind.domain;
    format!("{} >= {}", table.columns[at].name, dice.pick(domain))
}

/// Some rows.
fn many(dice: &mut Dice, table: &Table) -> String {
    let candidates = if table.key.is_empty() || dice.chance(30) { table.written() } else { table.key.clone() };
    let at = *dice.pick(&candidates);
    let limit = dice.between(2..=25);
    if table.columns[at].kind.indexable && dice.chance(70) {
        return format!("{} LIMIT {limit}", range(dice, table, at));
    }
    let found = dice.pick(&table.columns[at].kind.domain).clone();
    format!("{} <=> {found} LIMIT {limit}", table.columns[at].name)
}

/// Two tables in one statement.
fn joined(dice: &mut Dice, a: &Table, b: &Table) -> String {
    if a.name == b.name || a.key.is_empty() || b.key.is_empty() {
        return update(dice, a);
    }
    let condition = |dice: &mut Dice, table: &Table, alias: &str| {
        let parts: Vec<String> = table
            .key
            .iter()
            .map(|at| format!("{alias}.{} = {}", table.columns[*at].name, dice.pick(&table.columns[*at].kind.domain)))
            .collect();
        parts.join(" AND ")
    };
    let conditions = format!("{} AND {}", condition(dice, a, "a"), condition(dice, b, "b"));
    if dice.chance(30) {
        return format!("DELETE a, b FROM {} a JOIN {} b WHERE {conditions}", a.name, b.name);
    }
    let fits = |table: &Table, at: usize| {
        let definition = &table.columns[at].kind.definition;
        limits::BEYOND_TYPES || !(definition.starts_with("DOUBLE(") || definition.starts_with("FLOAT("))
    };
    let able = |table: &Table| -> Vec<usize> { table.written().into_iter().filter(|at| fits(table, *at)).collect() };
    if able(a).is_empty() || able(b).is_empty() {
        return update(dice, a);
    }
    let set = |dice: &mut Dice, table: &Table, alias: &str| {
        let at = *dice.pick(&able(table));
        format!("{alias}.{} = {}", table.columns[at].name, value(dice, table, at))
    };
    format!("UPDATE {} a JOIN {} b SET {}, {} WHERE {conditions}", a.name, b.name, set(dice, a, "a"), set(dice, b, "b"))
}

/// A change of a definition that leaves the columns that the others know as they are.
fn definition(dice: &mut Dice, tables: &[Table]) -> String {
    let table = dice.pick(tables);
    let number = dice.between(0..=1_000_000);
    let change = match dice.below(3) {
        0 => format!("ADD COLUMN added{number} INT NULL DEFAULT 3"),
        1 => format!("ADD KEY added{number} ({})", table.columns[*dice.pick(&table.written())].name),
        _ => format!("COMMENT = 'changed {number}'"),
    };
    format!("ALTER TABLE {} {change}", table.name)
}
