//! A table as polarferry knows it: its name, its columns in the order of the binlog, and the key that identifies a row.
//!
//! The description is read from a server's catalog. The *target's* catalog is the authority for the stream: what was created
//! there is what the rows must fit, so the target is the schema history and no second copy of it can go stale.

use std::fmt;

use super::types;

/// `schema.table`, as the server spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// What a column holds, as far as carrying its values needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// TINYINT … BIGINT.
    Integer {
        unsigned: bool,
    },
    Float,
    Double,
    Decimal,
    Bit,
    Year,
    Date,
    Time {
        fraction: u8,
    },
    DateTime {
        fraction: u8,
    },
    /// Carried as UTC: every session of ours runs with `time_zone = '+00:00'`.
    Timestamp {
        fraction: u8,
    },
    /// CHAR, VARCHAR and the TEXTs: bytes in the column's own character set.
    Text,
    /// BINARY(n): the binlog drops trailing zero bytes, the value has `length` of them.
    FixedBinary {
        length: u32,
    },
    /// VARBINARY and the BLOBs.
    Binary,
    Enum,
    Set,
    Json,
    Geometry,
    Vector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    pub nullable: bool,
    /// Computed by the server (virtual or stored): present in row images, never written.
    pub generated: bool,
    /// What the server compares its values by; empty when they are not text.
    pub collation: String,
    /// The catalog's full spelling (`decimal(10,2) unsigned`), for comparing two catalogs and for messages.
    pub type_text: String,
}

/// A unique key whose columns are whole and NOT NULL, or a secondary unique key of any shape. Columns are indexes into the table's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub columns: Vec<usize>,
}

/// A unique index over a prefix of a column or over an expression. Which values it tells apart only the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialKey {
    pub name: String,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Column(usize),
    /// So many characters, or bytes, of a column.
    Prefix(usize, u64),
    Expression,
}

/// What identifies a row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey {
    /// The primary key, or else a unique key over whole NOT NULL columns.
    Key(Key),
    /// Rows may be equal to the last bit; only their number counts.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    pub columns: Vec<Column>,
    pub row_key: RowKey,
    /// Every other unique index over whole columns.
    pub secondary_uniques: Vec<Key>,
    /// The unique indexes that are not over whole columns.
    pub partial_uniques: Vec<PartialKey>,
    /// Parts of indexes that are expressions. The server keeps a hidden generated column for each, behind all others, which
    /// early releases of 8.0 write into row images.
    pub hidden: usize,
}

impl Table {
    /// The columns that statements write: all but the generated ones.
    pub fn written(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.generated)
    }

    /// The row key's column indexes, if the table has a row key.
    pub fn key_columns(&self) -> Option<&[usize]> {
        match &self.row_key {
            RowKey::Key(key) => Some(&key.columns),
            RowKey::None => None,
        }
    }

    /// Whether it is copied as one snapshot, and not by ranges while its events are applied: without a row key no range can be named;
    /// with a unique index over parts nobody but the server knows which rows of two moments stand in each other's way.
    pub fn is_copied_whole(&self) -> bool {
        self.key_columns().is_none() || !self.partial_uniques.is_empty()
    }

    /// Whether these columns, in whatever order, are unique.
    fn holds_unique(&self, columns: &[usize]) -> bool {
        let same = |key: &[usize]| key.len() == columns.len() && key.iter().all(|column| columns.contains(column));
        self.key_columns().is_some_and(same) || self.secondary_uniques.iter().any(|key| same(&key.columns))
    }

    /// In what the two descriptions differ, in words, or `None` when every row of one fits the other.
    pub fn difference(&self, other: &Table) -> Option<String> {
        if self.columns.len() != other.columns.len() {
            return Some(format!("{} columns here, {} there", self.columns.len(), other.columns.len()));
        }
        for (position, (ours, theirs)) in self.columns.iter().zip(&other.columns).enumerate() {
            if ours.name != theirs.name {
                return Some(format!("column {} is {} here, {} there", position + 1, ours.name, theirs.name));
            }
            if ours.kind != theirs.kind || ours.generated != theirs.generated || !types::holds(&ours.type_text, &theirs.type_text)
            {
                return Some(format!("column {} is {} here, {} there", ours.name, ours.type_text, theirs.type_text));
            }
        }
        for (ours, theirs) in self.columns.iter().zip(&other.columns) {
            if ours.collation != theirs.collation {
                return Some(format!(
                    "column {} compares by {:?} here, by {:?} there",
                    ours.name, ours.collation, theirs.collation
                ));
            }
        }
        // A unique key that the source does not have may refuse rows that the source holds.
        if let Some(key) = self.secondary_uniques.iter().find(|key| !other.holds_unique(&key.columns)) {
            return Some(format!("the unique key {} is only here", key.name));
        }
        if let Some(key) = self.partial_uniques.iter().find(|key| !other.partial_uniques.contains(key)) {
            return Some(format!("the unique key {} is only here, or is over other parts", key.name));
        }
        if self.key_columns() != other.key_columns() {
            return Some("the row keys differ".to_owned());
        }
        // Reads on the source name the index, by what the target calls it.
        if let (RowKey::Key(ours), RowKey::Key(theirs)) = (&self.row_key, &other.row_key)
            && !ours.name.eq_ignore_ascii_case(&theirs.name)
        {
            return Some(format!("the row key is named {} here, {} there", ours.name, theirs.name));
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn column(name: &str, kind: ColumnKind) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            nullable: true,
            generated: false,
            collation: String::new(),
            type_text: "any".to_owned(),
        }
    }

    pub(crate) fn table(name: &str, columns: Vec<Column>, key: &[usize]) -> Table {
        Table {
            name: TableName::new("shop", name),
            columns,
            row_key: if key.is_empty() {
                RowKey::None
            } else {
                RowKey::Key(Key { name: "PRIMARY".to_owned(), columns: key.to_vec() })
            },
            secondary_uniques: Vec::new(),
            partial_uniques: Vec::new(),
            hidden: 0,
        }
    }

    #[test]
    fn what_compares_otherwise_or_is_unique_only_here_differs() {
        let theirs = table("t", vec![column("id", ColumnKind::Integer { unsigned: false }), column("n", ColumnKind::Text)], &[0]);
        let mut ours = theirs.clone();
        ours.secondary_uniques.push(Key { name: "u".to_owned(), columns: vec![1] });
        assert_eq!(ours.difference(&theirs), Some("the unique key u is only here".to_owned()));
        assert_eq!(theirs.difference(&ours), None, "a key that only the source has refuses nothing");
        ours.row_key = RowKey::Key(Key { name: "by_id".to_owned(), columns: vec![0] });
        ours.secondary_uniques.clear();
        assert_eq!(ours.difference(&theirs), Some("the row key is named by_id here, PRIMARY there".to_owned()));
        ours.columns[1].collation = "utf8mb4_0900_ai_ci".to_owned();
        assert!(ours.difference(&theirs).is_some_and(|text| text.contains("compares by")));
    }

    #[test]
    fn difference_names_the_first_column_that_does_not_fit() {
        let ours = table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], &[0]);
        let mut theirs = ours.clone();
        assert_eq!(ours.difference(&theirs), None);
        theirs.columns[0].kind = ColumnKind::Text;
        assert!(ours.difference(&theirs).is_some_and(|text| text.starts_with("column id is")));
        theirs.columns.push(column("b", ColumnKind::Text));
        assert_eq!(ours.difference(&theirs), Some("1 columns here, 2 there".to_owned()));
    }
}
