//! Names that MySQL takes and a careless program does not.

use super::{Case, Pair, Route, arrive, quoted, stir};

/// As a database, a table and a column. MySQL takes no trailing space, and no dot in a name that a file is made of on some systems.
const NAMES: &[&str] = &[
    "select",
    "a.b",
    "a`b``c",
    " leading and inner space",
    "'quoted' \"twice\"",
    "back\\slash%_?*",
    "1e3",
    "0",
    "-- dash #",
    "/*! comment */",
    "ünï 库 ⚓",
    "@polarferry_0",
    "CHARSET=latin1",
    "sixty-four_characters_sixty-four_characters_sixty-four_character",
];

async fn odd_names_arrive(route: Route) {
    let pair = Pair::start(route).await;
    assert_eq!(NAMES.iter().map(|name| name.chars().count()).max(), Some(64));
    let columns: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let definitions: Vec<String> = columns
        .iter()
        .map(|name| {
            format!("{} VARCHAR(20) CHARACTER SET utf8mb4 COMMENT 'it''s `{}`'", quoted(name), name.replace(['\\', '\''], ""))
        })
        .collect();
    let (mut before, mut after) = (String::new(), String::new());
    for (number, name) in NAMES.iter().enumerate() {
        let table = quoted(name);
        let (unique, key) = (quoted(NAMES[(number + 1) % NAMES.len()]), quoted(NAMES[(number + 2) % NAMES.len()]));
        before += &format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, {}, UNIQUE {unique} ({unique}, id), KEY {key} ({key})); \
             INSERT INTO {table} (id, {unique}) VALUES (0, 'a'), (1, 'it''s'), (2, NULL); ",
            definitions.join(", ")
        );
        after += &stir(name, &columns, 3);
    }
    let tables = columns;
    let cases: Vec<Case<'_>> = NAMES
        .iter()
        .map(|database| Case { database, tables: tables.clone(), before: before.clone(), after: after.clone() })
        .collect();
    // One database with all of them, and all databases with one.
    let few = |case: &Case<'_>| case.database != NAMES[2];
    for case in cases.iter().filter(|case| few(case)) {
        pair.source.exec(format!("CREATE DATABASE {}", quoted(case.database))).await;
        pair.source.exec(format!("DROP DATABASE {}", quoted(case.database))).await;
    }
    let one = |database| Case {
        database,
        tables: vec!["select".to_owned()],
        before: "CREATE TABLE `select` (id INT PRIMARY KEY, `from` INT); INSERT INTO `select` VALUES (0, 1), (1, 2)".to_owned(),
        after: stir("select", &["from".to_owned()], 2),
    };
    let mut all: Vec<Case<'_>> = NAMES.iter().copied().filter(|name| *name != NAMES[2]).map(one).collect();
    all.extend(cases.into_iter().filter(|case| !few(case)));
    arrive(&pair, &all).await;
}

on_routes! { odd_names_arrive,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
