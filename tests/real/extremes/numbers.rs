//! Types that come in sizes, in each size: BIT, DECIMAL, fractions of seconds, SET and ENUM up to their last member.

use super::{Case, Pair, Route, arrive, stir};
use crate::lab::Version;

/// A table with one column for each of `kinds` (its type, its literals): as many rows as the longest list, and one of NULLs.
fn table(name: &str, kinds: &[(String, Vec<String>)]) -> (String, String) {
    let columns: Vec<String> = (0..kinds.len()).map(|at| format!("c{at}")).collect();
    let definitions: Vec<String> = columns.iter().zip(kinds).map(|(column, (kind, _))| format!("{column} {kind} NULL")).collect();
    let rows = kinds.iter().map(|(_, literals)| literals.len()).max().unwrap_or(0);
    let mut before = format!("CREATE TABLE {name} (id INT PRIMARY KEY, {}); ", definitions.join(", "));
    for row in 0..rows {
        let values: Vec<&str> = kinds.iter().map(|(_, literals)| literals[row % literals.len()].as_str()).collect();
        before += &format!("INSERT INTO {name} VALUES ({row}, {}); ", values.join(", "));
    }
    before += &format!("INSERT INTO {name} (id) VALUES ({rows}); ");
    (before, stir(name, &columns, rows + 1))
}

fn bits() -> Vec<(String, Vec<String>)> {
    (1..=64)
        .map(|width: u32| {
            let most = u64::MAX >> (64 - width);
            let values = [most, 0, 1, most ^ (most >> 1), 0x5555_5555_5555_5555 & most];
            (format!("BIT({width})"), values.map(|value| value.to_string()).to_vec())
        })
        .collect()
}

/// Every pair where the number of bytes changes, and the ends.
fn decimals() -> Vec<(String, Vec<String>)> {
    let edges = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 18, 19, 27, 28, 30];
    let mut kinds = Vec::new();
    for scale in edges {
        for whole in [0, 1, 2, 4, 8, 9, 10, 18, 27, 35, 36, 64, 65] {
            let precision = whole + scale;
            if (1..=65).contains(&precision) {
                let point = if scale > 0 { format!(".{}", "9".repeat(scale)) } else { String::new() };
                let least = if scale > 0 { format!("0.{}1", "0".repeat(scale - 1)) } else { "1".to_owned() };
                let nines = if whole > 0 { "9".repeat(whole) } else { "0".to_owned() };
                let values = vec![
                    format!("{nines}{point}"),
                    format!("-{nines}{point}"),
                    least.clone(),
                    format!("-{least}"),
                    "0".to_owned(),
                ];
                kinds.push((format!("DECIMAL({precision},{scale})"), values));
            }
        }
    }
    kinds
}

fn moments() -> Vec<(String, Vec<String>)> {
    let mut kinds = Vec::new();
    for digits in 0..=6 {
        let fraction = |text: &str| if digits > 0 { format!(".{}", &text[..digits]) } else { String::new() };
        let (nines, zeros, one) = (fraction("999999"), fraction("000000"), fraction("100001"));
        let quote = |texts: [String; 4]| texts.map(|text| format!("'{text}'")).to_vec();
        kinds.push((
            format!("TIME({digits})"),
            quote([
                format!("838:59:58{nines}"),
                format!("-838:59:58{nines}"),
                format!("-00:00:00{one}"),
                format!("00:00:00{zeros}"),
            ]),
        ));
        kinds.push((
            format!("DATETIME({digits})"),
            quote([
                format!("9999-12-31 23:59:59{nines}"),
                format!("1000-01-01 00:00:00{zeros}"),
                format!("0000-00-00 00:00:00{zeros}"),
                format!("2024-02-29 12:00:00{one}"),
            ]),
        ));
        kinds.push((
            format!("TIMESTAMP({digits})"),
            quote([
                format!("2038-01-19 03:14:07{nines}"),
                format!("1970-01-01 00:00:01{zeros}"),
                format!("0000-00-00 00:00:00{zeros}"),
                format!("2001-09-09 01:46:40{one}"),
            ]),
        ));
    }
    kinds
}

/// `count` members `prefix0`, `prefix1`, …
fn members(prefix: &str, count: usize) -> String {
    (0..count).map(|number| format!("'{prefix}{number:x}'")).collect::<Vec<_>>().join(",")
}

/// `most` is how many members the longest ENUM has.
fn lists(most: usize) -> Vec<(String, Vec<String>)> {
    let text = |values: &[u64]| values.iter().map(u64::to_string).collect::<Vec<_>>();
    let mut kinds = Vec::new();
    for count in [255, 256, most] {
        let last = count as u64;
        kinds.push((format!("ENUM({})", members("", count)), text(&[1, last, last - 1, 255])));
    }
    for count in [1_u32, 7, 8, 9, 16, 17, 24, 25, 32, 33, 56, 57, 63, 64] {
        let most = u64::MAX >> (64 - count);
        kinds.push((format!("SET({})", members(&format!("s{count}_"), count as usize)), text(&[most, 0, 1, most ^ (most >> 1)])));
    }
    kinds
}

async fn every_size_of_a_type_arrives(route: Route) {
    let most = match route.source {
        // A definition was one file of 64 KiB.
        Version::V57 => 3000,
        // 65,535 are allowed; the server compares each name with each other one, which takes it minutes.
        Version::V80 | Version::V97 => 15_000,
    };
    let (mut before, mut after, mut tables) = (String::new(), String::new(), Vec::new());
    let decimals = decimals();
    let halves = decimals.split_at(decimals.len() / 2);
    let lists = lists(most);
    for (name, kinds) in [
        ("bits", bits().as_slice()),
        ("decimals", halves.0),
        ("decimals_more", halves.1),
        ("moments", moments().as_slice()),
        ("lists", lists.as_slice()),
    ] {
        let (create, stir) = table(name, kinds);
        before += &create;
        after += &stir;
        tables.push(name.to_owned());
    }
    // Members that came later stand between the others, and keep the numbers of what is stored right.
    before += "CREATE TABLE grown (id INT PRIMARY KEY, e ENUM('a','c') NULL, s SET('a','c') NULL); \
               INSERT INTO grown VALUES (0, 'a', 'a'), (1, 'c', 'a,c'), (2, NULL, ''); \
               ALTER TABLE grown MODIFY e ENUM('a','b','c') NULL, MODIFY s SET('a','b','c') NULL; \
               INSERT INTO grown VALUES (3, 'b', 'b'), (4, 'c', 'a,b,c'); ";
    after += &stir("grown", &["e".to_owned(), "s".to_owned()], 5);
    tables.push("grown".to_owned());
    arrive(&Pair::start(route).await, &[Case { database: "sizes", tables, before, after }]).await;
}

on_routes! { every_size_of_a_type_arrives,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
