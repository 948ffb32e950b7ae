//! Multi-row INSERTs, and LOAD DATAs in their place where there are many rows.

use std::sync::Arc;

use bytes::Bytes;

use super::dml::{self, RowError, STATEMENT_BYTES, Shapes, write_row};
use super::statement::{Expect, Statement};
use super::{Ident, document};
use crate::model::change::KeyBytes;
use crate::model::image::RowImage;
use crate::model::table::{Column, ColumnKind, RowKey, Table};

/// Blanks in one statement: a server shows the first 64 of its warnings at least, and each blank is one.
const BLANKS_PER_STATEMENT: usize = 32;

/// Lines of one LOAD DATA: no packet bounds them, and each LOAD DATA has two round trips.
const LOAD_BYTES: usize = 16 * 1024 * 1024;

/// How the lines of a LOAD DATA are read: as the values of an INSERT are.
const LINES: &str = "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\\'' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'";

/// What an INSERT does with a row that collides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collision {
    /// The server refuses the statement.
    Refuse,
    /// The row there takes the new values: it must be the one with the same key.
    Overwrite,
    /// The row there stays.
    Keep,
}

/// Builds multi-row INSERTs from rows whose `(…)` values are spelled one by one; or LOAD DATAs, whose lines are these values.
///
/// LOAD DATA LOCAL is a third cheaper for 9.7 and an eighth for 8.0.15 (500,000 sysbench rows: 3.6 s of the server's time instead of
/// 5.4 s, 5.2 s instead of 6.1 s), since nothing is parsed into items. Of rows that change it takes half of an upsert's time where they
/// are wide (20,000 rows of 60 columns: 0.56 s, 1.18 s), three quarters where they are sysbench's. A row that collides is left out, and
/// what cannot be stored is changed with a warning, or refused where rows are replaced: `target` holds the server to the counts, and to
/// no other warnings.
#[derive(Debug)]
pub struct Inserts<'s> {
    shapes: &'s Shapes,
    collision: Collision,
    /// The statement that takes the rows as lines.
    load: Option<&'s [u8]>,
    /// Beside lines: rows with blanks, of which a line makes warnings that could be others', rows that are longer than statements grow,
    /// which the target's packet bounds, and rows with documents that only an expression makes.
    beside: Option<Box<Self>>,
    /// Keys of the open statement's rows, where somebody reads ahead.
    ahead: Option<Vec<KeyBytes>>,
    /// Rows that must be affected, as a multiple of the row count; `None` for any.
    per_row: Option<u64>,
    limit: usize,
    text: Vec<u8>,
    rows: u64,
    blanks: usize,
    /// Table expressions in the statement so far.
    ctes: usize,
    done: Vec<Statement>,
}

impl<'s> Inserts<'s> {
    /// Statements grow to about `limit` bytes; a single longer row gets a statement of its own.
    pub fn new(shapes: &'s Shapes, collision: Collision, per_row: Option<u64>, limit: usize) -> Self {
        Self {
            shapes,
            collision,
            load: None,
            beside: None,
            ahead: None,
            per_row,
            limit,
            text: Vec::new(),
            rows: 0,
            blanks: 0,
            ctes: 0,
            done: Vec::new(),
        }
    }

    /// For about so many rows, which go as lines when they are many.
    pub fn of(shapes: &'s Shapes, collision: Collision, per_row: Option<u64>, rows: usize) -> Self {
        let load = if collision == Collision::Overwrite { &shapes.load_over } else { &shapes.load };
        let load = load.as_deref().filter(|_| rows >= shapes.many);
        let limit = if load.is_some() { LOAD_BYTES } else { STATEMENT_BYTES };
        Self { load, ..Self::new(shapes, collision, per_row, limit) }
    }

    /// For rows that were read. Those with documents that are spelled as lines ([`Shapes::documents_as_lines`]) go as lines however few they
    /// are: as the values of a statement they would have to be spelled otherwise.
    pub fn of_read(shapes: &'s Shapes, collision: Collision, per_row: Option<u64>, rows: usize) -> Self {
        let load = shapes.load_documents.as_deref().filter(|_| shapes.documents_as_lines());
        let plain = Self::of(shapes, collision, per_row, rows);
        if load.is_some() { Self { load, limit: LOAD_BYTES, ..plain } } else { plain }
    }

    /// The same rows as a whole, where there are any, and they are lines already.
    pub fn whole(&self, lines: &Bytes, rows: usize) -> Option<Statement> {
        let load = self.load.filter(|_| (1..=LOAD_BYTES).contains(&lines.len()))?;
        let expect = self.per_row.map_or(Expect::Any, |count| Expect::Exactly(count * rows as u64));
        Some(Statement { lines: lines.clone(), ..Statement::new(Arc::clone(&self.shapes.table), load.to_owned(), expect) })
    }

    /// The same, with questions for who reads ahead ([`Statement::reads`]) from the keys that are told.
    pub fn reading_ahead(self, ahead: bool) -> Self {
        Self { ahead: ahead.then(Vec::new), ..self }
    }

    /// Tells the key of the row that was appended last.
    pub fn tell(&mut self, key: &[u8]) {
        self.ahead.iter_mut().for_each(|keys| keys.push(key.into()));
    }

    /// Appends one row, its values already spelled and separated by commas. A row with `blanks` (see [`Statement`]) shares no
    /// statement with one without.
    pub fn push(&mut self, values: &[u8], blanks: usize) {
        self.push_spelled(values, blanks, is_line(values.len(), blanks));
    }

    /// The same, for a row of which it was decided before whether it is spelled as a line.
    pub fn push_spelled(&mut self, values: &[u8], blanks: usize, line: bool) {
        if self.load.is_some() && !line {
            return self.push_beside(values, blanks);
        }
        let ctes = self.count_ctes(values);
        if !self.takes(self.text.len() + values.len(), blanks, ctes) {
            self.close();
        }
        self.begin();
        self.text.extend_from_slice(values);
        self.end(blanks, ctes);
    }

    /// Appends one row, which is spelled into its place.
    pub fn push_row(&mut self, table: &Table, row: &RowImage) -> Result<(), RowError> {
        let before = self.text.len();
        self.begin();
        let start = self.text.len();
        let blanks = write_row(&mut self.text, table, row)?;
        if self.load.is_some() && !is_line(self.text.len() - start, blanks) {
            let values = self.text.split_off(start);
            self.text.truncate(before);
            self.push_beside(&values, blanks);
            return Ok(());
        }
        let ctes = self.count_ctes(self.text.get(start..).unwrap_or(&[]));
        if self.takes(self.text.len(), blanks, ctes) {
            self.end(blanks, ctes);
        } else {
            let values = self.text.split_off(start);
            self.text.truncate(before);
            self.push(&values, blanks);
        }
        Ok(())
    }

    fn push_beside(&mut self, values: &[u8], blanks: usize) {
        let (shapes, collision, per_row) = (self.shapes, self.collision, self.per_row);
        let limit = self.limit.min(STATEMENT_BYTES);
        let beside = self.beside.get_or_insert_with(|| Box::new(Self::new(shapes, collision, per_row, limit)));
        beside.push(values, blanks);
    }

    fn count_ctes(&self, values: &[u8]) -> usize {
        if self.shapes.has_documents { document::count_ctes(values) } else { 0 }
    }

    /// Whether a row may go into the open statement, which would have this length with it.
    fn takes(&self, length: usize, blanks: usize, ctes: usize) -> bool {
        let other_mode = (blanks > 0) != (self.blanks > 0) || self.blanks + blanks > BLANKS_PER_STATEMENT;
        let far = self.ahead.as_ref().is_some_and(|keys| keys.len() >= dml::KEYS_AHEAD);
        let too_much = far || length > self.limit || ctes > 0 && self.ctes + ctes > document::CTES_PER_STATEMENT;
        self.rows == 0 || !(other_mode || too_much)
    }

    fn begin(&mut self) {
        if self.load.is_some() {
            if self.rows > 0 {
                self.text.push(b'\n');
            }
        } else if self.rows == 0 {
            self.text.extend_from_slice(&self.shapes.insert);
            self.text.push(b'(');
        } else {
            self.text.extend_from_slice(b",(");
        }
    }

    fn end(&mut self, blanks: usize, ctes: usize) {
        if self.load.is_none() {
            self.text.push(b')');
        }
        self.rows += 1;
        self.blanks += blanks;
        self.ctes += ctes;
    }

    fn close(&mut self) {
        let mut lines = Bytes::new();
        match (self.load, self.collision) {
            (Some(load), _) => {
                self.text.push(b'\n');
                lines = std::mem::replace(&mut self.text, load.to_owned()).into();
            }
            (None, Collision::Refuse) => {}
            (None, Collision::Overwrite) => self.text.extend_from_slice(&self.shapes.overwrite),
            (None, Collision::Keep) => self.text.extend_from_slice(&self.shapes.keep),
        }
        let expect = self.per_row.map_or(Expect::Any, |count| Expect::Exactly(count * self.rows));
        let table = Arc::clone(&self.shapes.table);
        let blanks = std::mem::take(&mut self.blanks);
        let reads = self.ahead.as_mut().map(|keys| dml::reads(&self.shapes.delete, keys.drain(..))).unwrap_or_default();
        let text = std::mem::take(&mut self.text);
        self.done.push(Statement { blanks, lines, reads, ..Statement::new(table, text, expect) });
        self.rows = 0;
        self.ctes = 0;
    }

    pub fn finish(mut self) -> Vec<Statement> {
        if self.rows > 0 {
            self.close();
        }
        self.done.extend(self.beside.into_iter().flat_map(|beside| beside.finish()));
        self.done
    }
}

/// Whether a row may be a line: an ENUM's error value would make warnings that could be others', and a line is bounded by what a
/// statement is.
pub fn is_line(length: usize, blanks: usize) -> bool {
    blanks == 0 && length <= STATEMENT_BYTES
}

/// What a line holds for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// What the server reads from it as it reads a statement's literal.
    Literal,
    /// A number, which it would take for bytes, for the name of a member, or for the year 2000.
    Number,
    /// A document's text, which it would take for bytes.
    Document,
}

/// `None`: no line can hold it.
fn field(column: &Column) -> Option<Field> {
    match column.kind {
        ColumnKind::Integer { .. }
        | ColumnKind::Float
        | ColumnKind::Double
        | ColumnKind::Decimal
        | ColumnKind::Date
        | ColumnKind::Time { .. }
        | ColumnKind::DateTime { .. }
        | ColumnKind::Timestamp { .. }
        | ColumnKind::Binary
        | ColumnKind::FixedBinary { .. } => Some(Field::Literal),
        // 8.0.15 warns of bytes that ASCII does not have; the others are not worth finding out what it thinks of them.
        ColumnKind::Text => {
            let known = ["utf8mb4_", "utf8mb3_", "utf8_", "latin1_"].iter().any(|set| column.collation.starts_with(set));
            known.then_some(Field::Literal)
        }
        ColumnKind::Bit | ColumnKind::Year | ColumnKind::Enum | ColumnKind::Set => Some(Field::Number),
        ColumnKind::Json => Some(Field::Document),
        ColumnKind::Geometry | ColumnKind::Vector => None,
    }
}

/// The LOAD DATAs of a table, as far as its types allow them: for rows of which none is there, or which are left out where one is; and
/// for rows that take the place of those that are there.
///
/// The second is REPLACE, for tables whose primary key is their only unique one: then a row collides with none but the one that is
/// meant, and a server changes that in its place, in the columns that differ, and counts it twice, as for an upsert. (Where another table
/// refers to this one, it deletes the row and inserts it; our sessions have `foreign_key_checks=0`, so nothing follows from that, and
/// the count is the same.)
///
/// The third is the first for tables with documents. It takes their text, which the stream does not have.
pub(super) struct Loads {
    pub new: Option<Vec<u8>>,
    pub over: Option<Vec<u8>>,
    pub documents: Option<Vec<u8>>,
}

pub(super) fn loads(table: &Table, name: &str) -> Loads {
    let mut loads = Loads { new: None, over: None, documents: None };
    let fields: Option<Vec<(&Column, Field)>> =
        table.written().map(|(_, column)| field(column).map(|field| (column, field))).collect();
    let Some(fields) = fields else { return loads };
    let documents = fields.iter().any(|(_, field)| *field == Field::Document);
    let (mut columns, mut set) = (Vec::new(), Vec::new());
    for (at, (column, field)) in fields.into_iter().enumerate() {
        let column = Ident(&column.name);
        let value = match field {
            Field::Literal => {
                columns.push(column.to_string());
                continue;
            }
            Field::Number => format!("CAST(@n{at} AS UNSIGNED)"),
            Field::Document => format!("CONVERT(@n{at} USING utf8mb4)"),
        };
        columns.push(format!("@n{at}"));
        set.push(format!("{column}={value}"));
    }
    let set = if set.is_empty() { String::new() } else { format!(" SET {}", set.join(",")) };
    let columns = format!("({}){set}", columns.join(","));
    let new = Some(load("", name, &columns));
    if documents {
        loads.documents = new;
        return loads;
    }
    let primary = matches!(&table.row_key, RowKey::Key(key) if key.name == "PRIMARY");
    let only = primary && table.secondary_uniques.is_empty() && table.partial_uniques.is_empty();
    Loads { new, over: only.then(|| load("REPLACE ", name, &columns)), documents: None }
}

/// Names and columns are quoted.
fn load(replace: &str, table: &str, columns: &str) -> Vec<u8> {
    format!("LOAD DATA LOCAL INFILE 'rows' {replace}INTO TABLE {table} CHARACTER SET binary {LINES} {columns}").into_bytes()
}

/// A LOAD DATA of no rows into our own table that never holds any.
pub fn load_nothing() -> Statement {
    Statement::of_ours(load("", "`polarferry`.`kinds`", "(`bytes`)"), Expect::Any)
}

#[cfg(test)]
mod tests {
    use super::super::dml::tests::{row, shop, texts};
    use super::*;
    use crate::model::image::{Layout, Wire};
    use crate::model::table::Key;
    use crate::model::table::tests::{column, table};

    #[test]
    fn generated_columns_are_never_written() {
        let table = shop();
        let shapes = Shapes::new(&table, None);
        let mut values = Vec::new();
        write_row(&mut values, &table, &row(7, b"x")).expect("a row");
        let mut inserts = Inserts::new(&shapes, Collision::Overwrite, Some(2), 1000);
        inserts.push(&values, 0);
        inserts.push(&values, 0);
        let statements = inserts.finish();
        assert_eq!(statements[0].expect, Expect::Exactly(4));
        assert_eq!(
            texts(statements),
            ["INSERT INTO `shop`.`t` (`id`,`na``me`) VALUES (7,'x'),(7,'x') ON DUPLICATE KEY UPDATE \
              `id`=VALUES(`id`),`na``me`=VALUES(`na``me`)"]
        );
    }

    #[test]
    fn statements_split_at_their_limit_but_never_inside_a_row() {
        let table = shop();
        let shapes = Shapes::new(&table, None);
        let mut inserts = Inserts::new(&shapes, Collision::Keep, None, 60);
        for _ in 0..3 {
            inserts.push(b"1,'a row of thirty-two bytes !!!'", 0);
        }
        assert_eq!(inserts.finish().len(), 3);
        let mut spelled = Inserts::new(&shapes, Collision::Refuse, Some(1), 60);
        for id in 1..4 {
            spelled.push_row(&table, &row(id, b"fourteen bytes")).expect("a row");
        }
        let head = "INSERT INTO `shop`.`t` (`id`,`na``me`) VALUES ";
        let texts = texts(spelled.finish());
        assert_eq!(texts, [1, 2, 3].map(|id| format!("{head}({id},'fourteen bytes')")));
    }

    #[test]
    fn many_rows_go_as_lines_where_the_types_allow_it() {
        let mut table = shop();
        "utf8mb4_bin".clone_into(&mut table.columns[1].collation);
        let lines = |table: &Table, collision, limit| {
            let shapes = Shapes::new(table, Some(200));
            let mut inserts = Inserts { limit, ..Inserts::of(&shapes, collision, Some(1), 200) };
            for id in 7..10 {
                inserts.push_row(table, &row(id, b"it's")).expect("a row");
            }
            inserts.finish()
        };
        let [one, two] = &lines(&table, Collision::Refuse, 20)[..] else { panic!("a line has 10 bytes") };
        assert!(
            one.text.starts_with(
                b"LOAD DATA LOCAL INFILE 'rows' INTO TABLE `shop`.`t` CHARACTER SET binary FIELDS TERMINATED BY ','"
            )
        );
        assert!(
            one.text.ends_with(b"ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' (`id`,`na``me`)"),
            "{}",
            String::from_utf8_lossy(&one.text)
        );
        assert_eq!((&one.lines[..], one.expect), (&b"7,'it\\'s'\n8,'it\\'s'\n"[..], Expect::Exactly(2)));
        assert_eq!(&two.lines[..], b"9,'it\\'s'\n");
        // Longer than statements grow: an INSERT, which the packet bounds.
        let shapes = Shapes::new(&table, Some(200));
        let mut long = Inserts::of(&shapes, Collision::Keep, None, 200);
        long.push(&vec![b'1'; STATEMENT_BYTES + 1], 0);
        assert_eq!(long.finish()[0].text[..12], *b"INSERT INTO ");
        // Rows that are there are replaced where no other row can be.
        let over = |table: &Table| String::from_utf8(lines(table, Collision::Overwrite, 1000).remove(0).text).expect("ASCII");
        assert!(over(&table).starts_with("LOAD DATA LOCAL INFILE 'rows' REPLACE INTO TABLE `shop`.`t` CHARACTER SET binary"));
        table.secondary_uniques.push(Key { name: "u".into(), columns: vec![1] });
        assert!(over(&table).starts_with("INSERT INTO"));
        table.columns[0].kind = ColumnKind::Json;
        assert!(lines(&table, Collision::Refuse, 1000)[0].lines.is_empty());
    }

    #[test]
    fn documents_that_are_read_go_as_lines_and_those_that_are_expressions_beside() {
        let mut table = shop();
        table.columns[0].kind = ColumnKind::Json;
        "utf8mb4_bin".clone_into(&mut table.columns[1].collation);
        assert!(!Shapes::new(&table, None).documents_as_lines());
        let shapes = Shapes::new(&table, Some(200));
        assert!(shapes.documents_as_lines());
        let mut inserts = Inserts::of_read(&shapes, Collision::Keep, None, 2);
        assert_eq!(inserts.whole(&Bytes::new(), 0), None, "a LOAD DATA of nothing would be sent without a file");
        assert_eq!(inserts.whole(&Bytes::from_static(b"NULL,'x'\n"), 1).map(|whole| whole.lines.len()), Some(9));
        inserts.push_spelled(b"'{\"a\": 1}','x'", 0, true);
        inserts.push_spelled(b"CAST(1 AS JSON),'y'", 0, false);
        let [lines, beside] = &inserts.finish()[..] else { panic!("two statements") };
        let set = b" (@n0,`na``me`) SET `id`=CONVERT(@n0 USING utf8mb4)";
        assert!(lines.text.ends_with(set), "{}", String::from_utf8_lossy(&lines.text));
        assert_eq!(&lines.lines[..], b"'{\"a\": 1}','x'\n");
        assert!(beside.text.starts_with(b"INSERT INTO `shop`.`t` (`id`,`na``me`) VALUES (CAST(1 AS JSON),'y')"));
        assert!(beside.lines.is_empty());
    }

    #[test]
    fn a_number_that_a_line_would_take_for_a_name_goes_by_a_variable_and_a_blank_goes_beside() {
        let table = table("t", vec![column("e", ColumnKind::Enum)], &[]);
        let shapes = Shapes::new(&table, Some(200));
        let layout = Arc::new(Layout::new(vec![Wire::Enum { bytes: 1 }]));
        let mut inserts = Inserts::of(&shapes, Collision::Refuse, Some(1), 200);
        for member in [1, 0, 2] {
            let image = RowImage::new(Arc::from([0, member]), 0, 2, Arc::clone(&layout));
            inserts.push_row(&table, &image).expect("a row");
        }
        let [lines, beside] = &inserts.finish()[..] else { panic!("two statements") };
        assert!(lines.text.ends_with(b" (@n0) SET `e`=CAST(@n0 AS UNSIGNED)"), "{}", String::from_utf8_lossy(&lines.text));
        assert_eq!((&lines.lines[..], lines.blanks, lines.expect), (&b"1\n2\n"[..], 0, Expect::Exactly(2)));
        assert_eq!((&beside.text[..], beside.blanks), (&b"INSERT INTO `shop`.`t` (`e`) VALUES (0)"[..], 1));
    }

    #[test]
    fn a_row_with_a_blank_shares_no_statement_wherever_it_is_spelled() {
        let table = table("t", vec![column("e", ColumnKind::Enum)], &[]);
        let shapes = Shapes::new(&table, None);
        let layout = Arc::new(Layout::new(vec![Wire::Enum { bytes: 1 }]));
        let mut inserts = Inserts::new(&shapes, Collision::Refuse, Some(1), 1000);
        for member in [1, 0, 0, 2] {
            let image = RowImage::new(Arc::from([0, member]), 0, 2, Arc::clone(&layout));
            inserts.push_row(&table, &image).expect("a row");
        }
        let statements = inserts.finish();
        assert_eq!(statements.iter().map(|statement| statement.blanks).collect::<Vec<_>>(), [0, 2, 0]);
        let rows = ["(1)", "(0),(0)", "(2)"];
        assert_eq!(texts(statements), rows.map(|rows| format!("INSERT INTO `shop`.`t` (`e`) VALUES {rows}")));
    }
}
