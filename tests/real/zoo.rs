//! A table that has a column of each type, and each type's extreme values.

use std::fmt::Write;

use super::rows::quoted;
use crate::lab::Version;

/// Names that need quoting, also in a dump, a glob and a file name. MySQL takes no character beyond
/// U+FFFF in a name.
pub const DATABASE: &str = "od`d. ⚓ 库";
pub const TABLE: &str = "ty.p`es ' \" ⚓";

/// Values as they stand in an application's statements: names, definition, literals.
#[derive(Debug)]
pub struct Column(pub &'static str, pub &'static str, pub &'static [&'static str]);

pub const COLUMNS: &[Column] = &[
    Column("t.i n`y ⚓", "TINYINT", &["-128", "127", "0", "-1"]),
    Column("tiny_u", "TINYINT UNSIGNED", &["0", "255", "128"]),
    Column("truth", "BOOL", &["TRUE", "FALSE"]),
    Column("small", "SMALLINT", &["-32768", "32767", "0"]),
    Column("small_u", "SMALLINT UNSIGNED", &["65535", "32768"]),
    Column("medium", "MEDIUMINT", &["-8388608", "8388607", "-1"]),
    Column("medium_u", "MEDIUMINT UNSIGNED", &["16777215", "8388608"]),
    Column("whole", "INT", &["-2147483648", "2147483647", "-1", "0"]),
    Column("whole_u", "INT UNSIGNED", &["4294967295", "2147483648"]),
    Column("whole_z", "INT(9) ZEROFILL", &["7", "4294967295"]),
    Column("virtual_sum", "BIGINT AS (small + whole) VIRTUAL", &[]),
    Column("big", "BIGINT", &["-9223372036854775808", "9223372036854775807", "-1"]),
    Column("big_u", "BIGINT UNSIGNED", &["18446744073709551615", "9223372036854775808", "0"]),
    Column(
        "exact",
        "DECIMAL(65,30)",
        &[
            "99999999999999999999999999999999999.999999999999999999999999999999",
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001",
            "-0.5",
            "0",
        ],
    ),
    Column("exact_0", "DECIMAL(10,0)", &["-9999999999", "9999999999", "0"]),
    Column("exact_f", "DECIMAL(5,5)", &["0.99999", "-0.00001"]),
    Column("exact_u", "DECIMAL(18,9) UNSIGNED", &["999999999.999999999", "1.000000001"]),
    Column(
        "single",
        "FLOAT",
        &[
            "0.1",
            "-0e0",
            "3.4028234663852886e38",
            "-3.4028234663852886e38",
            "1.17549435e-38",
            "1.4e-45",
            "16777217e0",
            "1.2345678e10",
            "0.333333333e0",
        ],
    ),
    Column("single_m", "FLOAT(7,3)", &["1234.567", "-0.001"]),
    Column(
        "double_",
        "DOUBLE",
        &[
            "0.1e0",
            "-0e0",
            "1.7976931348623157e308",
            "-1.7976931348623157e308",
            "2.2250738585072014e-308",
            "5e-324",
            "3e-310",
            "0.30000000000000004e0",
            "9007199254740993e0",
            "1e23",
        ],
    ),
    Column("double_m", "DOUBLE(12,4) UNSIGNED", &["12345678.1234", "0.0001"]),
    Column("bit_1", "BIT(1)", &["b'0'", "b'1'"]),
    Column("bit_13", "BIT(13)", &["b'1010101010101'", "b'1'", "b'1111111111111'"]),
    Column("bit_64", "BIT(64)", &["x'FFFFFFFFFFFFFFFF'", "x'8000000000000000'", "b'0'"]),
    Column("year_", "YEAR", &["0", "1901", "2155", "2024"]),
    Column(
        "date_",
        "DATE",
        &[
            "'0000-00-00'",
            "'1000-01-01'",
            "'9999-12-31'",
            "'2024-02-29'",
            "'2023-02-31'",
            "'2020-00-15'",
            "'2020-12-00'",
            "'0001-01-01'",
        ],
    ),
    Column("time_", "TIME", &["'-838:59:59'", "'838:59:59'", "'-00:00:01'", "'00:00:00'"]),
    Column("time_1", "TIME(1)", &["'-01:02:03.4'", "'-00:00:00.1'", "'838:59:58.9'"]),
    Column("time_3", "TIME(3)", &["'-100:00:00.001'", "'23:59:59.999'"]),
    Column(
        "time_6",
        "TIME(6)",
        &[
            "'-838:59:59.000000'",
            "'838:59:59.000000'",
            "'-838:59:58.999999'",
            "'-00:00:00.000001'",
            "'12:34:56.789012'",
            "'-00:01:00.5'",
        ],
    ),
    Column("moment", "DATETIME", &["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2024-03-31 02:30:00'"]),
    Column("moment_2", "DATETIME(2)", &["'1000-01-01 00:00:00.01'", "'2020-00-00 10:00:00.99'"]),
    Column(
        "moment_6",
        "DATETIME(6)",
        &[
            "'0000-00-00 00:00:00.000000'",
            "'9999-12-31 23:59:59.999999'",
            "'1000-01-01 00:00:00.000001'",
            "'2023-02-30 01:02:03.000004'",
        ],
    ),
    Column("stamp", "TIMESTAMP NULL", &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'"]),
    // An hour that a clock in Berlin has twice.
    Column(
        "stamp_6",
        "TIMESTAMP(6) NULL",
        &[
            "'1970-01-01 00:00:01.000000'",
            "'2038-01-19 03:14:07.999999'",
            "'0000-00-00 00:00:00'",
            "'2024-10-27 00:30:00.5'",
            "'2024-10-27 01:30:00.5'",
        ],
    ),
    Column(
        "touched",
        "TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
        &["'2001-02-03 04:05:06.789'", "'2002-02-03 04:05:06.001'"],
    ),
    Column("char_latin1", "CHAR(20) CHARACTER SET latin1", &["'naïve'", "x'80819FFF'", "x'005C27220A0D1A25'", "''"]),
    Column("text_latin1", "VARCHAR(300) CHARACTER SET latin1", &["'ende  '", "x'5C'", "x'27'", "REPEAT(x'FF', 300)"]),
    // The second byte of these is a backslash.
    Column("char_gbk", "CHAR(10) CHARACTER SET gbk", &["x'D55C'", "'誠'", "x'815C815C'"]),
    Column("text_gbk", "TEXT CHARACTER SET gbk", &["x'D55C5C27'", "'漢字 ''\\\\ 誠'", "REPEAT('誠', 2000)"]),
    Column("text_sjis", "VARCHAR(20) CHARACTER SET sjis", &["x'835C'", "'ソ表'"]),
    Column("text_utf16", "VARCHAR(20) CHARACTER SET utf16", &["'a😀ü'", "''", "'\\\\'"]),
    Column("char_utf8mb4", "CHAR(10) CHARACTER SET utf8mb4", &["'😀 ünï'", "'\\0''\"\\\\\\n\\r\\Z%'", "'ﾞ'"]),
    Column("text_utf8mb4", "VARCHAR(100) CHARACTER SET utf8mb4", &["'trailing  '", "'\t'", "'NULL'", "''", "'e\u{301}'"]),
    Column("long_utf8mb4", "LONGTEXT CHARACTER SET utf8mb4", &["REPEAT('äß😀', 30000)", "''", "'x'"]),
    Column("tiny_binary_text", "TINYTEXT CHARACTER SET binary", &["x'00FF'", "x''"]),
    Column("binary_8", "BINARY(8)", &["x'61'", "x'0000000000000000'", "x'00FF'", "x'2020'", "x'6100620000000000'"]),
    Column("binary_255", "BINARY(255)", &["REPEAT(x'FF', 255)", "x'01'"]),
    Column("varbinary_300", "VARBINARY(300)", &["x'6100'", "x''", "x'20'", "REPEAT(x'5C', 300)", "REPEAT(x'27', 299)"]),
    Column("blob_tiny", "TINYBLOB", &["x'00'", "REPEAT(x'00', 255)"]),
    Column("blob_medium", "MEDIUMBLOB", &["REPEAT(x'00FF5C27220A0D1A', 20000)", "x''"]),
    Column("stored_digest", "VARCHAR(64) CHARACTER SET ascii AS (SHA2(blob_medium, 256)) STORED", &[]),
    Column("choice", "ENUM('a,b', 'c''d', '', 'ü', 'A\\\\') CHARACTER SET utf8mb4", &["'a,b'", "2", "3", "'ü'", "5", "0"]),
    Column("choices", "SET('x', 'y z', 'ü', '''') CHARACTER SET utf8mb4", &["''", "'x,ü'", "15", "'y z'", "8"]),
    Column(
        "document",
        "JSON",
        &[
            "'{}'",
            "'[1, 1.5, 2.5e-3, 1e100, 0.1, 18446744073709551615, -9223372036854775808, \"é😀\\\\u0000\", null, true, {\"a b\": []}]'",
            "'\"scalar\"'",
            "'null'",
            "JSON_OBJECT('', '', 'quote\"', REPEAT('ä', 70000))",
        ],
    ),
    Column(
        "place",
        "GEOMETRY",
        &[
            "ST_GeomFromText('POINT(1 2)')",
            "ST_GeomFromText('POINT(10 20)', 4326)",
            "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(-0.1 1e-300),LINESTRING(0 0,1 1))')",
        ],
    ),
    Column("spot", "POINT", &["POINT(0.1, -1e300)"]),
];

/// What older servers do not have.
pub const NEWER: &[Column] = &[
    Column("hidden", "INT INVISIBLE", &["1", "-1"]),
    Column("vector_", "VECTOR(3)", &["STRING_TO_VECTOR('[1, -0.5, 3e38]')", "STRING_TO_VECTOR('[0.1, 0, 1e-30]')"]),
];

/// What an application with the most permissive of settings may store.
pub const SESSION: &str = "SET NAMES utf8mb4; SET time_zone = '+00:00'; \
    SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

/// Rows are numbered from 0 by this; the last one is NULL wherever that may be.
pub fn rows_of(columns: &[&Column]) -> usize {
    columns.iter().map(|column| column.2.len()).max().unwrap_or(0) + 1
}

pub fn create(columns: &[&Column]) -> String {
    let mut sql =
        format!("CREATE TABLE {} (`id` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'it''s; `id`'", quoted(TABLE));
    for Column(name, definition, _) in columns {
        write!(sql, ", {} {definition}", quoted(name)).expect("a String takes any text");
    }
    sql + ", KEY `by sum` (virtual_sum), KEY `by``text` (text_utf8mb4(10)))"
}

/// The columns that an application writes.
fn written<'c>(columns: &'c [&Column]) -> impl Iterator<Item = (String, &'c Column)> {
    let plain = columns.iter().filter(|column| !column.2.is_empty());
    plain.map(|column| (quoted(column.0), *column))
}

pub fn insert(columns: &[&Column], row: usize, id: usize) -> String {
    let last = row + 1 == rows_of(columns);
    let (mut names, mut values) = ("`id`".to_owned(), id.to_string());
    for (name, Column(_, definition, literals)) in written(columns) {
        let value = if last && !definition.contains("NOT NULL") { "NULL" } else { literals[row % literals.len()] };
        write!(names, ", {name}").expect("a String takes any text");
        write!(values, ", {value}").expect("a String takes any text");
    }
    format!("INSERT INTO {} ({names}) VALUES ({values})", quoted(TABLE))
}

/// What streams after the copy: each value inserted, written over another one, deleted, and in a row
/// whose key changes.
pub fn changes(columns: &[&Column]) -> String {
    let table = quoted(TABLE);
    let names: Vec<String> = written(columns).map(|(name, _)| name).collect();
    let list = names.join(", ");
    let sets: Vec<String> = names.iter().map(|name| format!("a.{name} = b.{name}")).collect();
    let sets = sets.join(", ");
    let rows = rows_of(columns);
    format!(
        "INSERT INTO {table} (id, {list}) SELECT id + 1000, {list} FROM {table}; \
         INSERT INTO {table} (id, {list}) SELECT id - 5000, {list} FROM {table} WHERE id >= 1000; \
         UPDATE {table} a JOIN {table} b ON b.id = 1000 + (a.id + 1) % {rows} SET {sets} WHERE a.id BETWEEN 0 AND 999; \
         UPDATE {table} a JOIN {table} b ON b.id = a.id + 1 SET {sets} WHERE a.id = 1003; \
         DELETE FROM {table} WHERE id IN (1, 1001); \
         UPDATE {table} SET id = id + 9223372036854770000 WHERE id BETWEEN 1002 AND 1999; \
         UPDATE {table} SET id = -9223372036854775807 - 1 WHERE id = 1000"
    )
}

/// The columns that both servers know.
pub fn columns(source: Version, target: Version) -> Vec<&'static Column> {
    match (source, target) {
        (Version::V97, Version::V97) => COLUMNS.iter().chain(NEWER).collect(),
        _ => COLUMNS.iter().collect(),
    }
}
