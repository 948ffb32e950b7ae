//! What a column can be: every type of the server, with the values that it will hold. A column's values are drawn once, with its
//! type; statements pick from them, so that rows meet.

use super::dice::Dice;
use super::limits;
use super::text;
use crate::lab::Version;

/// What can be done with a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Integer,
    Text,
    Json,
    Enum,
    Temporal,
    Other,
}

#[derive(Clone)]
pub struct Kind {
    /// The type, as a definition spells it.
    pub definition: String,
    pub class: Class,
    /// Literals.
    pub domain: Vec<String>,
    /// Whether an index may be over all of it.
    pub indexable: bool,
    /// Which takes values that nobody gave it unless its definition says otherwise.
    pub is_timestamp: bool,
}

impl Kind {
    fn new(definition: impl Into<String>, class: Class, domain: Vec<String>) -> Self {
        Self { definition: definition.into(), class, domain, indexable: true, is_timestamp: false }
    }

    fn unindexed(self) -> Self {
        Self { indexable: false, ..self }
    }
}

/// Any type. `wide` is how many different values it should have at least, if the type has as many.
pub fn draw(dice: &mut Dice, version: Version, wide: usize) -> Kind {
    match dice.below(24) {
        0..=3 => integer(dice, wide),
        4 => decimal(dice, wide),
        5 => float(dice, wide),
        6 => double(dice, wide),
        7 => bit(dice, wide),
        8 => year(),
        9 => date(dice, wide),
        10 => time(dice, wide),
        11 => datetime(dice, wide),
        12 => timestamp(dice, wide),
        13..=16 => character(dice, version, wide),
        17 => long_text(dice, version),
        18 => binary(dice, wide),
        19 => blob(dice),
        20 => enumeration(dice, version),
        21 => set(dice, version),
        22 if version == Version::V97 && dice.chance(30) => vector(),
        22 => geometry(),
        _ => json(dice, version),
    }
}

/// A type that a key can be over.
pub fn draw_indexable(dice: &mut Dice, version: Version, wide: usize) -> Kind {
    loop {
        let kind = draw(dice, version, wide);
        if kind.indexable && kind.domain.len() >= wide.min(2) {
            return kind;
        }
    }
}

/// The type of a key that one column makes: with as many values as rows are wanted.
pub fn draw_wide(dice: &mut Dice, version: Version, wide: usize) -> Kind {
    loop {
        let kind = draw_indexable(dice, version, wide);
        if kind.domain.len() >= wide {
            return kind;
        }
    }
}

pub fn integer(dice: &mut Dice, wide: usize) -> Kind {
    let (name, bits) =
        *dice.pick(&[("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64), ("INT", 32)]);
    let unsigned = dice.chance(40);
    let (low, high) = if unsigned { (0_i128, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) };
    let from = if dice.chance(70) { 0 } else { (high - wide as i128 - 3).max(low) };
    let mut domain: Vec<i128> = (from..).take(wide.max(8)).filter(|value| *value <= high).collect();
    domain.extend([low, low + 1, high - 1, high, 0, -1].iter().filter(|value| (low..=high).contains(*value)));
    let attributes = match (unsigned, dice.chance(10)) {
        (true, true) => " UNSIGNED ZEROFILL",
        (true, false) => " UNSIGNED",
        (false, _) => "",
    };
    Kind::new(format!("{name}{attributes}"), Class::Integer, domain.iter().map(i128::to_string).collect())
}

fn decimal(dice: &mut Dice, wide: usize) -> Kind {
    let digits = dice.between(1..=65) as usize;
    let scale = dice.between(0..=digits.min(30) as u64) as usize;
    let unsigned = dice.chance(20);
    let mut domain = vec!["0".to_owned()];
    for _ in 0..wide.max(8) {
        let whole = dice.between(0..=(digits - scale) as u64) as usize;
        let fraction = dice.between(0..=scale as u64) as usize;
        let sign = if !unsigned && dice.chance(40) { "-" } else { "" };
        domain.push(format!("{sign}0{}.{}0", dice.digits(whole), dice.digits(fraction)));
    }
    let nines = format!("{}.{}", "9".repeat(digits - scale), "9".repeat(scale));
    domain.push(format!("0{nines}"));
    let attributes = if unsigned { *dice.pick(&[" UNSIGNED", " UNSIGNED ZEROFILL"]) } else { "" };
    Kind::new(format!("DECIMAL({digits},{scale}){attributes}"), Class::Other, domain)
}

fn numbers(dice: &mut Dice, wide: usize, edges: &[&str]) -> Vec<String> {
    let mut domain: Vec<String> = edges.iter().map(|&edge| edge.to_owned()).collect();
    for _ in 0..wide.max(8) {
        let (digits, sign) = (dice.between(1..=17) as usize, if dice.chance(40) { "-" } else { "" });
        domain.push(format!("{sign}{}.{}e{}", dice.below(10), dice.digits(digits), dice.below(20)));
    }
    domain
}

fn float(dice: &mut Dice, wide: usize) -> Kind {
    let edges = ["0e0", "-0e0", "0.1", "3.4028234663852886e38", "1.17549435e-38", "1.4e-45", "16777217e0", "0.333333333e0"];
    let definition = *dice.pick(&["FLOAT", "FLOAT", "FLOAT", "FLOAT(7,3)", "FLOAT UNSIGNED"]);
    let kind = Kind::new(definition, Class::Other, numbers(dice, wide, &edges));
    Kind { indexable: limits::FLOAT_KEYS, ..kind }
}

fn double(dice: &mut Dice, wide: usize) -> Kind {
    let edges =
        ["0e0", "-0e0", "0.1e0", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "0.30000000000000004e0", "1e23"];
    let definition = *dice.pick(&["DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE(14,4)", "DOUBLE UNSIGNED"]);
    Kind::new(definition, Class::Other, numbers(dice, wide, &edges))
}

fn bit(dice: &mut Dice, wide: usize) -> Kind {
    let bits = dice.between(1..=64);
    let high = u64::MAX >> (64 - bits);
    let mut domain: Vec<u64> = (0..wide.max(4) as u64).filter(|value| *value <= high).collect();
    domain.extend([high, high - 1, high / 2]);
    Kind::new(format!("BIT({bits})"), Class::Other, domain.iter().map(u64::to_string).collect())
}

fn year() -> Kind {
    let domain = std::iter::once(0).chain(1901..=2155).map(|year: u16| year.to_string()).collect();
    Kind::new("YEAR", Class::Other, domain)
}

/// The odd values need a lax `sql_mode`.
fn date(dice: &mut Dice, wide: usize) -> Kind {
    let mut domain: Vec<String> =
        ["0000-00-00", "1000-01-01", "9999-12-31", "2024-02-29", "2020-00-15", "2020-12-00", "2023-02-31"].map(quoted).to_vec();
    for _ in 0..wide.max(8) {
        domain.push(quoted(&day(dice)));
    }
    Kind::new("DATE", Class::Temporal, domain)
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

fn day(dice: &mut Dice) -> String {
    format!("{}-{:02}-{:02}", dice.between(1970..=2037), dice.between(1..=12), dice.between(1..=28))
}

fn clock(dice: &mut Dice, hours: u64, fraction: usize) -> String {
    let point = if fraction > 0 { "." } else { "" };
    let (hours, minutes, seconds) = (dice.between(0..=hours), dice.between(0..=59), dice.between(0..=59));
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{}", dice.digits(fraction))
}

/// A type's name with its fraction: `TIME`, `TIME(3)`.
fn fractional(name: &str, fraction: usize) -> String {
    if fraction == 0 { name.to_owned() } else { format!("{name}({fraction})") }
}

fn time(dice: &mut Dice, wide: usize) -> Kind {
    let fraction = dice.below(7);
    let mut domain: Vec<String> = ["-838:59:59", "838:59:59", "00:00:00", "-00:00:01"].map(quoted).to_vec();
    for _ in 0..wide.max(8) {
        let sign = if dice.chance(40) { "-" } else { "" };
        domain.push(format!("'{sign}{}'", clock(dice, 837, fraction)));
    }
    Kind::new(fractional("TIME", fraction), Class::Temporal, domain)
}

fn datetime(dice: &mut Dice, wide: usize) -> Kind {
    let fraction = dice.below(7);
    let mut domain: Vec<String> =
        ["0000-00-00 00:00:00", "9999-12-31 23:59:59", "1000-01-01 00:00:00", "2020-00-00 10:00:00"].map(quoted).to_vec();
    for _ in 0..wide.max(8) {
        domain.push(format!("'{} {}'", day(dice), clock(dice, 23, fraction)));
    }
    Kind::new(fractional("DATETIME", fraction), Class::Temporal, domain)
}

/// Some of these moments do not exist, or exist twice, in some zones.
fn timestamp(dice: &mut Dice, wide: usize) -> Kind {
    let fraction = dice.below(7);
    let mut domain: Vec<String> =
        ["0000-00-00 00:00:00", "1970-01-02 00:00:01", "2038-01-18 03:14:07", "2024-03-31 02:30:00"].map(quoted).to_vec();
    for _ in 0..wide.max(8) {
        domain.push(format!("'{} {}'", day(dice), clock(dice, 23, fraction)));
    }
    Kind { is_timestamp: true, ..Kind::new(fractional("TIMESTAMP", fraction), Class::Temporal, domain) }
}

pub fn character(dice: &mut Dice, version: Version, wide: usize) -> Kind {
    let drawn = text::draw(dice, version);
    let (name, length) =
        *dice.pick(&[("CHAR", 12), ("CHAR", 40), ("VARCHAR", 12), ("VARCHAR", 40), ("VARCHAR", 120), ("VARCHAR", 60)]);
    let domain = text::texts(dice, drawn.words, length, wide.max(8)).iter().map(|text| text::literal(text)).collect();
    Kind::new(format!("{name}({length}) {}", drawn.clause()), Class::Text, domain)
}

fn long_text(dice: &mut Dice, version: Version) -> Kind {
    let drawn = text::draw(dice, version);
    let name = *dice.pick(&["TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"]);
    let mut domain: Vec<String> = text::texts(dice, drawn.words, 50, 8).iter().map(|text| text::literal(text)).collect();
    if name != "TINYTEXT" {
        let word = text::literal(drawn.words.first().copied().unwrap_or("long"));
        domain.push(format!("REPEAT({word}, {})", dice.between(100..=9000)));
    }
    Kind::new(format!("{name} {}", drawn.clause()), Class::Text, domain).unindexed()
}

fn bytes(dice: &mut Dice, length: usize, wide: usize) -> Vec<String> {
    let mut domain: Vec<String> = ["", "00", "0000", "20", "61", "6100", "27", "5C", "5C27", "FF"]
        .iter()
        .filter(|digits| digits.len() <= length * 2)
        .map(|digits| format!("x'{digits}'"))
        .collect();
    for _ in 0..wide.max(8) {
        let long = dice.between(1..=length.min(20) as u64);
        let drawn: Vec<u8> = (0..long).map(|_| *dice.pick(&[0, 0x20, 0x27, 0x5C, 0x41, 0x61, 0x80, 0xFF])).collect();
        domain.push(format!("x'{}'", text::hex(&drawn)));
    }
    domain
}

fn binary(dice: &mut Dice, wide: usize) -> Kind {
    let length = *dice.pick(&[4, 8, 16, 60]);
    let name = *dice.pick(&["BINARY", "VARBINARY"]);
    Kind::new(format!("{name}({length})"), Class::Other, bytes(dice, length, wide))
}

fn blob(dice: &mut Dice) -> Kind {
    let name = *dice.pick(&["TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"]);
    let mut domain = bytes(dice, 60, 8);
    if name != "TINYBLOB" {
        domain.push(format!("REPEAT(x'00FF5C270A0D1A', {})", dice.between(100..=5000)));
    }
    Kind::new(name, Class::Other, domain).unindexed()
}

fn enumeration(dice: &mut Dice, version: Version) -> Kind {
    let drawn = text::draw(dice, version);
    let mut members: Vec<String> = ["a,b", "c'd", "", "Z", " x", "0", "1", "m"].map(str::to_owned).to_vec();
    members.extend(drawn.words.first().map(|&word| word.to_owned()));
    if dice.chance(10) {
        // More than one byte can count.
        members.extend((0..260).map(|at| format!("n{at}")));
    }
    dice.shuffle(&mut members);
    let mut domain: Vec<String> = members.iter().map(|member| text::literal(member)).collect();
    domain.push(format!("{}", members.len()));
    if limits::ENUM_ZERO {
        domain.extend(["0".to_owned(), "'no member'".to_owned()]);
    }
    Kind::new(format!("ENUM({}) {}", list(&members), drawn.clause()), Class::Enum, domain)
}

/// Definitions take no literals with an introducer.
fn list(members: &[String]) -> String {
    members.iter().map(|member| format!("'{}'", member.replace('\'', "''"))).collect::<Vec<_>>().join(",")
}

fn set(dice: &mut Dice, version: Version) -> Kind {
    let drawn = text::draw(dice, version);
    let mut members: Vec<String> = ["x", "y z", "'", "3", "w"].map(str::to_owned).to_vec();
    members.extend(drawn.words.first().map(|&word| word.to_owned()));
    if dice.chance(20) {
        let more = 64 - members.len();
        members.extend((0..more).map(|at| format!("n{at}")));
    }
    dice.shuffle(&mut members);
    let high = u64::MAX >> (64 - members.len());
    let mut domain: Vec<String> = members.iter().map(|member| text::literal(member)).collect();
    domain.extend(["''".to_owned(), high.to_string(), (high / 2).to_string(), (high - 1).to_string()]);
    Kind::new(format!("SET({}) {}", list(&members), drawn.clause()), Class::Enum, domain)
}

fn vector() -> Kind {
    let domain = ["[1, -0.5, 3e38]", "[0.1, 0, 1e-30]", "[0, 0, -1]"].map(|text| format!("STRING_TO_VECTOR('{text}')"));
    Kind::new("VECTOR(3)", Class::Other, domain.to_vec()).unindexed()
}

fn geometry() -> Kind {
    let domain = [
        "ST_GeomFromText('POINT(1 2)')",
        "ST_GeomFromText('POINT(10 20)', 4326)",
        "POINT(0.1, -1e300)",
        "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(-0.1 1e-300),LINESTRING(0 0,1 1))')",
    ];
    Kind::new("GEOMETRY", Class::Other, domain.map(str::to_owned).to_vec()).unindexed()
}

fn json(dice: &mut Dice, version: Version) -> Kind {
    let mut domain: Vec<String> = [
        "'{}'",
        "'[]'",
        "'null'",
        "'\"scalar\"'",
        "'[1, 1.5, 2.5e-3, 0.1, 18446744073709551615, -9223372036854775808, null, true, {\"a b\": []}]'",
        "'{\"a\": 1, \"b\": [0.1, {\"c\": \"d\"}], \"\": false}'",
        "JSON_OBJECT('a', 'it''s', 'b', REPEAT('y', 300))",
        "JSON_OBJECT('a', _utf8mb4 x'F09F98805C220A00', 'b', NULL)",
        "JSON_ARRAY(1, 'two', -3, TRUE, 40000, 3000000000)",
        "JSON_OBJECT('a', JSON_ARRAY(1, 2), 'b', JSON_OBJECT('a', 1))",
    ]
    .map(str::to_owned)
    .to_vec();
    domain.push(format!("JSON_OBJECT('b', REPEAT('z', {}), 'a', 7)", dice.between(60_000..=70_000)));
    if limits::JSON_SQL_VALUES {
        domain.extend(
            [
                "JSON_ARRAY(1.50, CAST('2024-02-29' AS DATE), CAST(7 AS UNSIGNED), CAST('-12:34:56.789' AS TIME(3)))",
                "JSON_OBJECT('a', CAST('2024-02-29 01:02:03.000004' AS DATETIME(6)), 'b', CAST(1.5 AS DECIMAL(30,10)))",
            ]
            .map(str::to_owned),
        );
    }
    // 5.7 prints whole DOUBLEs otherwise than 8.0, so that the texts of equal documents differ, and such bytes have types there that
    // no expression of 8.0 gives.
    if version != Version::V57 {
        domain.push("'[1.0, -0.0, 1e100, 100.0]'".to_owned());
    }
    if limits::JSON_SQL_VALUES && version != Version::V57 {
        domain.push("JSON_OBJECT('a', x'00FF27', 'b', JSON_ARRAY(CAST(40000 AS UNSIGNED), 1.0e0, 0.00))".to_owned());
    }
    Kind::new("JSON", Class::Json, domain).unindexed()
}
