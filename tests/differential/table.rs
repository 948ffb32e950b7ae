//! Tables drawn by dice: columns, keys of every shape, unique keys beside them, generated columns, partitions, foreign keys, odd
//! names. A table that the server refuses (a row too long, an index too long) is drawn again by the caller.

use super::dice::Dice;
use super::kinds::{self, Class, Kind};
use super::limits;
use crate::lab::Version;
pub use crate::lab::quoted;

pub struct Column {
    /// Quoted.
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
    /// A value is found for it when none is given.
    pub defaulted: bool,
    /// Computed from other columns.
    pub expression: Option<String>,
    /// What follows the type in the definition.
    attributes: String,
}

pub struct Table {
    pub schema: String,
    /// As it is, not quoted.
    pub table: String,
    /// Quoted, with its schema.
    pub name: String,
    pub columns: Vec<Column>,
    /// Empty for a table without a row key.
    pub key: Vec<usize>,
    pub uniques: Vec<Vec<usize>>,
    /// The first key column counts by itself.
    pub counts: bool,
    /// Lines of the definition that are neither columns nor keys of the table itself.
    lines: Vec<String>,
    partitions: String,
    named_unique: bool,
}

/// As many values as one column of a key has when it is the only one, and when it is one of several.
const WIDE: usize = 220;
const NARROW: usize = 16;

const ODD: [&str; 14] =
    ["order", "select", "a`b", "dot.ted", "sp ace", "ünï", "库", "Key", "$x", "1st", "quo'te", "d\"q", "per%cent", "back\\slash"];

/// A name that is `plain` or, now and then, odd; `at` keeps it apart from others.
pub fn name(dice: &mut Dice, plain: &str, at: usize) -> String {
    if dice.chance(25) { format!("{}{at}", dice.pick(&ODD)) } else { format!("{plain}{at}") }
}

/// A table being drawn.
struct Draft<'d> {
    dice: &'d mut Dice,
    version: Version,
    columns: Vec<Column>,
}

impl Draft<'_> {
    fn add(&mut self, kind: Kind, nullable: bool) -> usize {
        let at = self.columns.len();
        let name = quoted(&name(self.dice, "c", at));
        let mut attributes = if nullable { " NULL".to_owned() } else { " NOT NULL".to_owned() };
        let mut defaulted = nullable;
        if kind.is_timestamp && !nullable {
            attributes += *self.dice.pick(&[" DEFAULT '2000-01-01 00:00:00'", " DEFAULT '2001-02-03 04:05:06'"]);
            defaulted = true;
        } else if kind.class == Class::Integer && self.dice.chance(30) {
            attributes += if self.version != Version::V57 && self.dice.chance(40) { " DEFAULT (1 + 2)" } else { " DEFAULT 7" };
            defaulted = true;
        } else if kind.class == Class::Json && self.version != Version::V57 && self.dice.chance(30) {
            attributes += " DEFAULT (JSON_ARRAY(1, 'd'))";
            defaulted = true;
        }
        if self.version == Version::V97 && self.dice.chance(8) {
            attributes += " INVISIBLE";
        }
        self.columns.push(Column { name, kind, nullable, defaulted, expression: None, attributes });
        at
    }

    /// A column that the server computes from another one; `None` when nothing comes to mind.
    fn generate(&mut self) -> Option<usize> {
        let plain: Vec<usize> = (0..self.columns.len()).filter(|at| self.columns[*at].expression.is_none()).collect();
        let from = &self.columns[*self.dice.pick(&plain)];
        let base = &from.name;
        let (definition, expression, class) = match from.kind.class {
            Class::Integer => ("BIGINT", format!("{base} % 97"), Class::Integer),
            Class::Text if self.dice.chance(50) => ("INT", format!("CHAR_LENGTH({base})"), Class::Integer),
            Class::Text if from.kind.indexable => {
                ("VARCHAR(250) CHARACTER SET utf8mb4", format!("CONCAT(UPPER({base}), '!')"), Class::Text)
            }
            Class::Text => ("INT", format!("LENGTH({base})"), Class::Integer),
            Class::Json => ("INT", format!("JSON_LENGTH({base})"), Class::Integer),
            Class::Enum if limits::NARROW_GENERATED => ("TINYINT", format!("{base} + 0"), Class::Integer),
            // With 64 members, a number of either sign.
            Class::Enum => ("DECIMAL(30,0)", format!("{base} + 0"), Class::Other),
            Class::Temporal | Class::Other => return None,
        };
        let storage = *self.dice.pick(&["VIRTUAL", "STORED"]);
        let at = self.columns.len();
        let name = quoted(&name(self.dice, "g", at));
        self.columns.push(Column {
            name,
            kind: Kind { definition: definition.to_owned(), class, domain: Vec::new(), indexable: true, is_timestamp: false },
            nullable: true,
            defaulted: true,
            expression: Some(expression),
            attributes: format!(" {storage}"),
        });
        Some(at)
    }
}

/// A table that refers only to `others`, which are there already.
pub fn draw(dice: &mut Dice, version: Version, schema: &str, at: usize, others: &[Table]) -> Table {
    let table = name(dice, "t", at);
    let mut draft = Draft { dice, version, columns: Vec::new() };
    let (key, counts, named_unique) = key(&mut draft);
    let partitioned = !counts && draft.dice.chance(20);
    for _ in 0..draft.dice.between(1..=9) {
        let wide = *draft.dice.pick(&[8, 20]);
        let kind = kinds::draw(draft.dice, version, wide);
        let nullable = draft.dice.chance(70);
        draft.add(kind, nullable);
    }
    let mut lines = Vec::new();
    let mut uniques = Vec::new();
    if !partitioned && !key.is_empty() {
        uniques = secondary_uniques(&mut draft);
        lines.extend(foreign_keys(&mut draft, at, others));
    }
    generated_columns(&mut draft, !partitioned && !key.is_empty(), &mut lines, &mut uniques);
    let integers: Vec<usize> = (0..draft.columns.len()).filter(|at| draft.columns[*at].kind.class == Class::Integer).collect();
    if version == Version::V97 && !integers.is_empty() && draft.dice.chance(15) {
        let column = &draft.columns[*draft.dice.pick(&integers)].name;
        lines.push(format!("CHECK ({column} IS NULL OR {column} <> 13)"));
    }
    // Together with an index over a virtual column, 5.7.22 crashes. A table with one is copied whole: most are to be copied by ranges.
    let crashes = version == Version::V57 && lines.iter().any(|line| line.starts_with("KEY ("));
    if limits::UNIQUE_PREFIXES
        && !key.is_empty()
        && !crashes
        && draft.dice.chance(20)
        && let Some(text) = draft.columns.iter().find(|column| column.kind.class == Class::Text && column.expression.is_none())
    {
        lines.push(format!("UNIQUE ({}(3))", text.name));
    }
    let partitions = if partitioned { partitions(draft.dice, &draft.columns, &key) } else { String::new() };
    let columns = draft.columns;
    let full = format!("{}.{}", quoted(schema), quoted(&table));
    Table { schema: schema.to_owned(), table, name: full, columns, key, uniques, counts, lines, partitions, named_unique }
}

/// Some, some of them indexed, and perhaps one that is `unique` together with another column.
fn generated_columns(draft: &mut Draft<'_>, unique: bool, lines: &mut Vec<String>, uniques: &mut Vec<Vec<usize>>) {
    for _ in 0..draft.dice.below(3) {
        if let Some(generated) = draft.generate()
            && draft.dice.chance(50)
        {
            lines.push(format!("KEY ({})", draft.columns[generated].name));
        }
    }
    if let Some(generated) = draft.columns.iter().position(|column| column.expression.is_some())
        && unique
        && draft.dice.chance(20)
    {
        // Alone it would leave room for a hundred rows.
        let other = draft.dice.below(draft.columns.len());
        if other != generated && draft.columns[other].kind.indexable {
            uniques.push(vec![generated, other]);
        }
    }
}

/// The row key's columns, whether it counts by itself, and whether it is a unique key instead of a primary one.
fn key(draft: &mut Draft<'_>) -> (Vec<usize>, bool, bool) {
    let instead = draft.dice.chance(15);
    match draft.dice.below(10) {
        // Without one.
        0 => (Vec::new(), false, false),
        1..=2 => {
            let kind = kinds::integer(draft.dice, WIDE);
            let definition = draft.dice.pick(&["BIGINT", "INT", "BIGINT UNSIGNED"]);
            let domain = (0..WIDE).map(|value| value.to_string()).collect();
            let at = draft.add(Kind { definition: (*definition).to_owned(), domain, ..kind }, false);
            let column = &mut draft.columns[at];
            column.attributes = " NOT NULL AUTO_INCREMENT".to_owned();
            column.defaulted = true;
            (vec![at], true, instead)
        }
        3..=6 => {
            let kind = kinds::draw_wide(draft.dice, draft.version, WIDE);
            (vec![draft.add(kind, false)], false, instead)
        }
        _ => {
            // A plain column in front: the key's columns need not be the first ones.
            if draft.dice.chance(50) {
                let kind = kinds::draw(draft.dice, draft.version, 8);
                draft.add(kind, true);
            }
            let mut columns = Vec::new();
            for _ in 0..draft.dice.between(2..=3) {
                let kind = kinds::draw_indexable(draft.dice, draft.version, NARROW);
                columns.push(draft.add(kind, false));
            }
            draft.dice.shuffle(&mut columns);
            (columns, false, instead)
        }
    }
}

/// Of columns of their own, so that there is something to be unique with.
fn secondary_uniques(draft: &mut Draft<'_>) -> Vec<Vec<usize>> {
    let mut uniques = Vec::new();
    for _ in 0..*draft.dice.pick(&[0, 0, 1, 1, 2]) {
        let nullable = draft.dice.chance(60);
        let kind = kinds::draw_wide(draft.dice, draft.version, WIDE);
        let mut columns = vec![draft.add(kind, nullable)];
        if draft.dice.chance(30) {
            let kind = kinds::draw_indexable(draft.dice, draft.version, NARROW);
            let nullable = draft.dice.chance(60);
            columns.push(draft.add(kind, nullable));
        }
        uniques.push(columns);
    }
    uniques
}

fn foreign_keys(draft: &mut Draft<'_>, at: usize, others: &[Table]) -> Vec<String> {
    let mut lines = Vec::new();
    // Where a key that children follow is what an index over a virtual column computes with, 5.7.22 crashes.
    let crashes =
        |other: &Table| draft.version == Version::V57 && other.columns.iter().any(|column| column.attributes.contains("VIRTUAL"));
    let fit = |other: &&Table| other.key.len() == 1 && other.partitions.is_empty() && !other.named_unique && !crashes(other);
    let parents: Vec<&Table> = others.iter().filter(fit).collect();
    if parents.is_empty() || !draft.dice.chance(35) {
        return lines;
    }
    let parent = *draft.dice.pick(&parents);
    let referred = &parent.columns[parent.key[0]];
    let child = draft.add(referred.kind.clone(), true);
    let child = draft.columns[child].name.clone();
    let mut actions = vec!["", " ON DELETE RESTRICT", " ON UPDATE RESTRICT ON DELETE NO ACTION"];
    if limits::CASCADES {
        actions.extend([" ON DELETE CASCADE", " ON DELETE SET NULL ON UPDATE CASCADE"]);
    }
    let action = draft.dice.pick(&actions);
    lines.push(format!(
        "CONSTRAINT `{}fk{at}` FOREIGN KEY ({child}) REFERENCES {} ({}){action}",
        if draft.dice.chance(20) { "odd ``" } else { "" },
        parent.name,
        referred.name
    ));
    lines
}

/// Values outside of every range or list are refused by the server, which is a statement less and no harm.
fn partitions(dice: &mut Dice, columns: &[Column], key: &[usize]) -> String {
    let candidates: Vec<&Column> =
        if key.is_empty() { columns.iter().collect() } else { key.iter().map(|at| &columns[*at]).collect() };
    let column = *dice.pick(&candidates);
    let name = &column.name;
    match (column.kind.class, dice.below(4)) {
        (Class::Integer, 0) => format!(" PARTITION BY HASH ({name}) PARTITIONS 3"),
        (Class::Integer, 1) => format!(
            " PARTITION BY RANGE ({name}) (PARTITION p0 VALUES LESS THAN (30), PARTITION p1 VALUES LESS THAN (90), \
             PARTITION p2 VALUES LESS THAN MAXVALUE)"
        ),
        (Class::Integer, 2) => {
            let of = |rest: usize| {
                let values: Vec<String> = (0..WIDE).filter(|value| value % 3 == rest).map(|value| value.to_string()).collect();
                format!("PARTITION p{rest} VALUES IN ({})", values.join(","))
            };
            format!(" PARTITION BY LIST ({name}) ({}, {}, {})", of(0), of(1), of(2))
        }
        (Class::Temporal, 0 | 1) => format!(
            " PARTITION BY RANGE COLUMNS ({name}) (PARTITION p0 VALUES LESS THAN ('1990-01-01'), \
             PARTITION p1 VALUES LESS THAN ('2010-01-01'), PARTITION p2 VALUES LESS THAN (MAXVALUE))"
        ),
        (Class::Text, _) if !limits::TEXT_PARTITIONS => String::new(),
        _ if column.kind.indexable => format!(" PARTITION BY KEY ({name}) PARTITIONS {}", dice.between(1..=4)),
        _ => String::new(),
    }
}

impl Table {
    /// The statement that makes it.
    pub fn create(&self) -> String {
        let mut lines: Vec<String> = self.columns.iter().map(Column::line).collect();
        let list = |columns: &[usize]| columns.iter().map(|at| self.columns[*at].name.as_str()).collect::<Vec<_>>().join(", ");
        if !self.key.is_empty() {
            let kind = if self.named_unique { "UNIQUE KEY `the key`" } else { "PRIMARY KEY" };
            lines.push(format!("{kind} ({})", list(&self.key)));
        }
        lines.extend(self.uniques.iter().map(|columns| format!("UNIQUE ({})", list(columns))));
        lines.extend(self.lines.iter().cloned());
        format!("CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB{}", self.name, lines.join(",\n  "), self.partitions)
    }

    /// The columns that an application writes.
    pub fn written(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|at| self.columns[*at].expression.is_none()).collect()
    }

    /// Those that are in no key.
    pub fn plain(&self) -> Vec<usize> {
        let in_key = |at: &usize| self.key.contains(at) || self.uniques.iter().any(|columns| columns.contains(at));
        self.written().into_iter().filter(|at| !in_key(at)).collect()
    }

    /// The row key and the unique keys that an application can move values between.
    pub fn movable(&self) -> Vec<&[usize]> {
        let keys = std::iter::once(&self.key).chain(&self.uniques).map(Vec::as_slice);
        keys.filter(|key| !key.is_empty() && key.iter().all(|at| self.columns[*at].expression.is_none())).collect()
    }
}

impl Column {
    fn line(&self) -> String {
        let computed = self.expression.as_ref().map_or_else(String::new, |expression| format!(" AS ({expression})"));
        format!("{} {}{computed}{}", self.name, self.kind.definition, self.attributes)
    }
}
