//! Every character set that the server lists, in its default and its binary collation: each byte that it permits, characters of
//! several bytes, trailing spaces, and columns that are generated from them.

use super::{Case, Pair, Route, arrive, stir};

/// What the character set does not have becomes a question mark.
const SAMPLES: &[&str] = &["aä€ß", "漢字ソ表誠許功", "กข ทดสอบ", "שלום", "Привет", "ｱｲｳﾞ", "😀🎉", "a\\\\''\\0\\n%_", "a  ", "  "];

async fn every_character_set_arrives(route: Route) {
    let pair = Pair::start(route).await;
    let charsets: Vec<(String, String)> =
        pair.source.query_rows("SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS").await;
    let collations: Vec<String> = pair.source.query_rows("SELECT COLLATION_NAME FROM information_schema.COLLATIONS").await;
    assert!(charsets.len() >= 41, "{charsets:?}");
    let (mut before, mut after, mut tables) = ("SET sql_mode = ''; ".to_owned(), String::new(), Vec::new());
    // BINARY and its like are in `types`.
    for (charset, default) in charsets.iter().filter(|(charset, _)| charset != "binary") {
        let binary = format!("{charset}_bin");
        let binary = if collations.contains(&binary) { &binary } else { default };
        let typed = |kind: &str, collation: &str| format!("{kind} CHARACTER SET {charset} COLLATE {collation}");
        let columns = ["c", "v", "t", "cb", "vb", "tb"].map(str::to_owned);
        let table = format!("in_{charset}");
        before += &format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, c {}, v {}, t {}, cb {}, vb {}, tb {}, \
             g {} AS (CONCAT(v, c)) STORED, h {} AS (vb) VIRTUAL); ",
            typed("CHAR(60)", default),
            typed("VARCHAR(300)", default),
            typed("TEXT", default),
            typed("CHAR(60)", binary),
            typed("VARCHAR(300)", binary),
            typed("LONGTEXT", binary),
            typed("VARCHAR(400)", default),
            typed("VARCHAR(300)", binary),
        );
        let list = columns.join(", ");
        let row = |id: usize, value: String| format!("({id}, {})", vec![value; columns.len()].join(", "));
        let bytes = (0..=255_usize).map(|byte| row(byte, format!("_binary x'{byte:02X}'")));
        let samples = SAMPLES.iter().enumerate().map(|(at, text)| row(256 + at, format!("'{text}'")));
        let rows: Vec<String> = bytes.chain(samples).collect();
        let number = rows.len() + 1;
        before += &format!(
            "INSERT IGNORE INTO {table} (id, {list}) VALUES {}; INSERT INTO {table} (id, v, tb) VALUES ({}, REPEAT('a ', 150), REPEAT('b ', 40000)); ",
            rows.join(", "),
            rows.len()
        );
        after += &stir(&table, &columns, number);
        tables.push(table);
    }
    // A half of a pair of UTF-16 has no meaning, and ucs2 keeps it.
    before +=
        "INSERT INTO in_ucs2 (id, v, cb) VALUES (900, _binary x'D800', _binary x'DFFF0061'), (901, _binary x'DC00D800', NULL); ";
    let case = Case { database: "scripts", tables, before, after: format!("SET sql_mode = ''; {after}") };
    arrive(&pair, &[case]).await;
    let kept: Vec<String> =
        pair.target.query_rows("SELECT HEX(v) FROM scripts.in_ucs2 WHERE id IN (900, 1000900) ORDER BY id").await;
    assert!(kept.contains(&"D800".to_owned()), "{kept:?}");
}

on_routes! { every_character_set_arrives,
    mysql_97: Route::V97,
    mysql_80_without_gtid: Route::V80.without_gtid(),
    mysql_57_to_80: Route::V57_TO_V80
}
